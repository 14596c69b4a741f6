"""The gateway's end of the agent's socket: a Doorkeeper whose every call has a deadline."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from facility_agent.ports.doorkeeper import (
    Doorkeeper,
    GatewaySession,
    IssuedCode,
    LinkInfo,
    LocalIdentity,
    PlaceSheet,
    Revocation,
    WorkspaceDoor,
)
from facility_agent.ports.tokens import PersonSession, SignOnToken
from facility_agent.socket import codec
from facility_agent.socket.server import TOKEN_HEADER
from shared.errors import BackendUnavailable, InvalidRequest, NotFound
from shared.identity import Scope, Subject

DEADLINE = 5.0


class DoorkeeperClient(Doorkeeper):
    """Raises what the agent raised; BackendUnavailable when the agent does not answer within 5 s."""

    def __init__(self, path: Path, token_file: Path) -> None:
        self._path, self._token_file = path, token_file
        self._session: aiohttp.ClientSession | None = None

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.UnixConnector(str(self._path), limit=64)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _headers(self) -> dict[str, str]:
        return {TOKEN_HEADER: self._token_file.read_text()}

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _call(self, name: str, *arguments: Any) -> Any:
        timeout = aiohttp.ClientTimeout(total=DEADLINE)
        try:
            request = self._http().post(
                f"http://agent/call/{name}", json=arguments, headers=self._headers(), timeout=timeout
            )
            async with request as answer:
                body = await answer.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise BackendUnavailable("The facility's agent does not answer at the moment.") from error
        if "reason" in body:
            raise codec.to_error(body)
        return body["answer"]

    async def check_password(self, username: str, password: str) -> LocalIdentity:
        """Who this is."""
        return codec.to_identity(await self._call("check_password", username, password))

    async def local_identity(self, username: str) -> LocalIdentity:
        """The account of a username that the facility's own sign-on vouches for."""
        return codec.to_identity(await self._call("local_identity", username))

    async def link_of(self, subject: Subject) -> LinkInfo | None:
        """The subject's account link."""
        return codec.to_link(await self._call("link_of", codec.subject(subject)))

    async def link(self, subject: Subject, identity: LocalIdentity) -> LinkInfo:
        """Store the pair."""
        made = codec.to_link(await self._call("link", codec.subject(subject), codec.identity(identity)))
        if made is None:
            raise NotFound
        return made

    async def consent_of(self, subject: Subject) -> frozenset[Scope]:
        """Scopes confirmed before."""
        return codec.to_scopes(await self._call("consent_of", codec.subject(subject)))

    async def consent(self, subject: Subject, scopes: frozenset[Scope]) -> None:
        """Remember what was confirmed."""
        await self._call("consent", codec.subject(subject), codec.scopes(scopes))

    async def issue_code(
        self, subject: Subject, sid: str, scopes: frozenset[Scope], challenge: str, centre_key: str
    ) -> IssuedCode:
        """A code that makes one grant."""
        answer = await self._call(
            "issue_code", codec.subject(subject), sid, codec.scopes(scopes), challenge, centre_key
        )
        return codec.to_code(answer)

    async def signed_out(self, issuer: str, sub: str, sid: str) -> None:
        """The provider ended a session."""
        await self._call("signed_out", issuer, sub, sid)

    async def session(self, cookie_hash: str) -> GatewaySession | None:
        """The session behind a gateway cookie."""
        return codec.to_session(await self._call("session", cookie_hash))

    async def renew_session(self, old_hash: str, new_hash: str, session: GatewaySession) -> None:
        """Put a session under a new cookie."""
        await self._call("renew_session", old_hash, new_hash, codec.session(session))

    async def end_session(self, cookie_hash: str) -> None:
        """Delete one session."""
        await self._call("end_session", cookie_hash)

    async def visit(self, workspace_id: str, subject: Subject) -> WorkspaceDoor:
        """Whether this person may enter."""
        door = codec.to_door(await self._call("visit", workspace_id, codec.subject(subject)))
        if door is None:
            raise NotFound
        return door

    async def invite(self, workspace_id: str, subject: Subject, sid: str, state_hash: str, code_hash: str) -> None:
        """Remember a one-time code into a workspace."""
        await self._call("invite", workspace_id, codec.subject(subject), sid, state_hash, code_hash)

    async def admit(self, workspace_id: str, code_hash: str, state_hash: str, cookie_hash: str) -> None:
        """Take a one-time code, then remember a workspace cookie."""
        await self._call("admit", workspace_id, code_hash, state_hash, cookie_hash)

    async def pass_of(self, workspace_id: str, cookie_hash: str) -> WorkspaceDoor | None:
        """The verdict behind a workspace cookie."""
        return codec.to_door(await self._call("pass_of", workspace_id, cookie_hash))

    async def carried(self, workspace_id: str, sent: int, received: int) -> None:
        """Record bytes that passed the gateway."""
        await self._call("carried", workspace_id, sent, received)

    async def places(self, subject: Subject, pid: str) -> PlaceSheet:
        """What was entered."""
        return codec.to_sheet(await self._call("places", codec.subject(subject), pid))

    async def enter_place(self, subject: Subject, pid: str, path: str) -> None:
        """Keep where a dataset's data lie."""
        await self._call("enter_place", codec.subject(subject), pid, path)

    async def forget_place(self, subject: Subject, pid: str) -> None:
        """Take it back."""
        await self._call("forget_place", codec.subject(subject), pid)

    async def token_wish(self, subject: Subject) -> PersonSession:
        """Whether a token would be of use; to an agent that does not know the question yet it is not."""
        try:
            return codec.to_wish(await self._call("token_wish", codec.subject(subject)))
        except InvalidRequest:
            return PersonSession.NEVER

    async def keep_token(self, subject: Subject, sid: str, identity: LocalIdentity, token: SignOnToken) -> None:
        """Hold a token."""
        whose = codec.identity(identity)
        await self._call("keep_token", codec.subject(subject), sid, whose, codec.token(token))

    async def revocations(self) -> AsyncIterator[Revocation]:
        """Every revocation from now on; first `Revocation()` once the stream is open."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=DEADLINE)
        try:
            async with self._http().get(
                "http://agent/revocations", headers=self._headers(), timeout=timeout
            ) as answer:
                async for line in answer.content:
                    yield codec.to_revocation(json.loads(line)) if line.strip() else Revocation()
        except (aiohttp.ClientError, OSError, ValueError):
            return
