"""The agent's end: aiohttp on a Unix socket that only this user can open."""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from aiohttp import web

from facility_agent.ports.doorkeeper import Doorkeeper
from facility_agent.socket import codec
from shared.errors import BackendError, InvalidRequest, ParasolError
from shared.wire.proof import same, token

log = logging.getLogger(__name__)
TOKEN_HEADER = "x-parasol-token"  # noqa: S105 (a name, not a secret)
Handler = Callable[[Doorkeeper, list[Any]], Awaitable[Any]]
Show = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _nothing(call: Awaitable[None]) -> None:
    await call


CALLS: dict[str, Handler] = {
    "check_password": lambda d, a: _then(codec.identity, d.check_password(a[0], a[1])),
    "local_identity": lambda d, a: _then(codec.identity, d.local_identity(a[0])),
    "link_of": lambda d, a: _then(codec.link, d.link_of(codec.to_subject(a[0]))),
    "link": lambda d, a: _then(codec.link, d.link(codec.to_subject(a[0]), codec.to_identity(a[1]))),
    "consent_of": lambda d, a: _then(codec.scopes, d.consent_of(codec.to_subject(a[0]))),
    "consent": lambda d, a: _nothing(d.consent(codec.to_subject(a[0]), codec.to_scopes(a[1]))),
    "issue_code": lambda d, a: _then(
        codec.code, d.issue_code(codec.to_subject(a[0]), a[1], codec.to_scopes(a[2]), a[3], a[4])
    ),
    "signed_out": lambda d, a: _nothing(d.signed_out(a[0], a[1], a[2])),
    "session": lambda d, a: _then(codec.session, d.session(a[0])),
    "renew_session": lambda d, a: _nothing(d.renew_session(a[0], a[1], _session(a[2]))),
    "end_session": lambda d, a: _nothing(d.end_session(a[0])),
    "visit": lambda d, a: _then(codec.door, d.visit(a[0], codec.to_subject(a[1]))),
    "invite": lambda d, a: _nothing(d.invite(a[0], codec.to_subject(a[1]), a[2], a[3], a[4])),
    "admit": lambda d, a: _nothing(d.admit(a[0], a[1], a[2], a[3])),
    "carried": lambda d, a: _nothing(d.carried(a[0], int(a[1]), int(a[2]))),
    "places": lambda d, a: _then(codec.sheet, d.places(codec.to_subject(a[0]), a[1])),
    "enter_place": lambda d, a: _nothing(d.enter_place(codec.to_subject(a[0]), a[1], a[2])),
    "forget_place": lambda d, a: _nothing(d.forget_place(codec.to_subject(a[0]), a[1])),
    "token_wish": lambda d, a: _then(codec.wish, d.token_wish(codec.to_subject(a[0]))),
    "keep_token": lambda d, a: _nothing(
        d.keep_token(codec.to_subject(a[0]), a[1], codec.to_identity(a[2]), codec.to_token(a[3]))
    ),
    "pass_of": lambda d, a: _then(codec.door, d.pass_of(a[0], a[1])),
}


async def _then(shape: Callable[[Any], Any], call: Awaitable[Any]) -> Any:
    return shape(await call)


def _session(value: Any) -> Any:
    session = codec.to_session(value)
    if session is None:
        raise InvalidRequest("A session is needed.")
    return session


class SocketServer:
    """Serves a Doorkeeper, `pages` to whoever may read them, and `acts` to whoever may do them. The socket's folder must be closed to other users; the peer's uid must be ours.

    Workspaces of the adapter `process` run under the same uid, so a caller must also show the content of a file
    that workspaces are kept from reading.
    """

    def __init__(
        self, path: Path, token_file: Path, doorkeeper: Doorkeeper, pages: Mapping[str, Show] | None = None,
        acts: Mapping[str, Show] | None = None,
    ) -> None:  # fmt: skip
        self._path, self._token_file, self._doorkeeper = path, token_file, doorkeeper
        self._pages, self._acts = pages or {}, acts or {}
        self._token = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. Raises PermissionError when the folder is open to others."""
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            raise PermissionError(f"{folder} is open to other users; make it 0700")
        self._path.unlink(missing_ok=True)
        self._token = _token(self._token_file)
        app = web.Application(client_max_size=256 * 1024)
        app.router.add_post("/call/{name}", self._call)
        app.router.add_get("/revocations", self._revocations)
        for name, show in self._pages.items():
            app.router.add_get(f"/{name}", self._guarded(show))
        for name, act in self._acts.items():
            app.router.add_post(f"/{name}", self._guarded(act))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._path)).start()
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _lets_in(self, request: web.Request) -> bool:
        return _is_us(request) and same(request.headers.get(TOKEN_HEADER, "").encode(), self._token.encode())

    def _guarded(self, show: Show) -> Show:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await show(request) if self._lets_in(request) else web.Response(status=403)

        return answer

    async def _call(self, request: web.Request) -> web.Response:
        if not self._lets_in(request):
            return web.json_response({"reason": "ACCESS_DENIED", "message": "Not for this user."}, status=403)
        handler = CALLS.get(request.match_info["name"])
        if handler is None:
            return web.json_response(codec.error(InvalidRequest("There is no such call.")), status=400)
        try:
            answer = await handler(self._doorkeeper, await request.json())
        except ParasolError as error:
            return web.json_response(codec.error(error), status=409)
        except (ValueError, TypeError, IndexError, KeyError):
            return web.json_response(codec.error(InvalidRequest("The call is malformed.")), status=400)
        except Exception:
            log.exception("call %s failed", request.match_info["name"])
            return web.json_response(codec.error(BackendError()), status=409)
        return web.json_response({"answer": answer})

    async def _revocations(self, request: web.Request) -> web.StreamResponse:
        if not self._lets_in(request):
            return web.Response(status=403)
        response = web.StreamResponse(headers={"content-type": "application/x-ndjson"})
        async with aclosing(self._doorkeeper.revocations()) as stream:  # type: ignore[type-var]
            await response.prepare(request)
            await response.write(b"\n")
            async for revocation in stream:
                await response.write(json.dumps(codec.revocation(revocation)).encode() + b"\n")
        return response


def _token(path: Path) -> str:
    """The token's file is made once and kept, so that a gateway goes on when the agent is restarted."""
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(token())
    return path.read_text()


def _is_us(request: web.Request) -> bool:
    transport = request.transport
    peer: socket.socket | None = transport.get_extra_info("socket") if transport else None
    if peer is None:
        return False
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", raw)
    return bool(uid == os.getuid())
