"""The agent's end of the helper's socket: one question a connection, as `facility_agent.helper.messages` has it."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from facility_agent.peers import peer_uid
from shared.errors import BackendError, BackendUnavailable, Conflict, IdentityRefused, ParasolError

log = logging.getLogger(__name__)
WITHIN_S, AT_ONCE, LONGEST = 25.0, 8, 4 * 2**20
LONGEST_QUESTION = 256 * 1024
AWAY = "The facility's helper does not answer at the moment."


class Helper:
    """Asks it. At most eight questions are under way at once."""

    def __init__(self, path: Path, owner: int = 0) -> None:
        self.path, self._owner = path, owner
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def ask(self, verb: str, **fields: Any) -> dict[str, Any]:
        """Its answer.

        Raises IdentityRefused for an account that it does not start anything for, BackendError for what it refuses or
        cannot do, BackendUnavailable when it is unknown whether it did it.
        """
        body = json.dumps({"verb": verb, **fields}).encode()
        if len(body) > LONGEST_QUESTION:
            raise BackendError("The facility's helper does not take that much at once.")
        try:
            async with self._at_once, asyncio.timeout(WITHIN_S):
                answer = json.loads(await self._exchange(body))
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            raise BackendUnavailable(AWAY) from error
        if not isinstance(answer, dict):
            raise BackendUnavailable(AWAY)
        if "ok" not in answer:
            raise _refused(verb, str(answer.get("reason")), str(answer.get("error")))
        said: dict[str, Any] = answer["ok"]
        return said

    async def _exchange(self, body: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self.path)
        try:
            if peer_uid(writer.get_extra_info("socket")) != self._owner:
                raise ConnectionRefusedError("who listens there is not root")
            with suppress(ConnectionError):  # it may refuse before it has read all; then its answer is there
                writer.write(len(body).to_bytes(4, "big") + body)
                await writer.drain()
            size = int.from_bytes(await reader.readexactly(4), "big")
            if size > LONGEST:
                raise ValueError("its answer is too long")
            return await reader.readexactly(size)
        finally:
            writer.close()


def _refused(verb: str, reason: str, sentence: str) -> ParasolError:
    log.warning("the helper refused to %s: %s", verb, sentence)
    if reason == "IDENTITY_REFUSED":
        return IdentityRefused(
            "The facility starts nothing as your account; its operators can see why in its log."
        )
    if reason == "BACKEND_UNAVAILABLE":
        return BackendUnavailable("The facility cannot tell who your account is at the moment.")
    if reason == "CONFLICT":
        return Conflict("This workspace belongs to another account.")
    if reason == "BACKEND_FAILED":
        return BackendError(sentence)
    return BackendError("The facility's helper is not set up for this; its operators can see why in its log.")
