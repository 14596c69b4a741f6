"""A system at the facility that speaks HTTP: one request, one bounded answer, and no more trust than that."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import orjson
from yarl import URL

from shared.errors import BackendError, BackendUnavailable

T = TypeVar("T")
_LONG = 256 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one answer may take: `seconds` from the first byte sent to the last one read, `size` bytes of
    body, `depth` of arrays and objects within each other; with 0 it is not looked at, and orjson's own 1,024 holds.
    """

    seconds: float = 4.0
    size: int = 8 * 1024 * 1024
    depth: int = 32


class Upstream:
    """Requests to one system, which `name` says to people ("catalogue").

    Redirects are not followed, cookies not kept, compressed answers refused, the environment's proxies not used: what
    goes out goes to `base` alone (by a Unix socket, when one is given), and what comes in is never larger than was read.
    Safe to use concurrently.
    """

    def __init__(
        self,
        base: str,
        name: str,
        bounds: Bounds | None = None,
        *,
        ca_file: Path | None = None,
        connections: int = 16,
        socket: str | None = None,
    ) -> None:
        self._socket = socket
        self._base, self._name, self._bounds = base.rstrip("/"), name, bounds or Bounds()
        self._ca_file, self._connections = ca_file, connections
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, json: Any = None,
        form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, bounds: Bounds | None = None,
    ) -> Answer:  # fmt: skip
        """One request. `path` begins with a slash and is sent as it is: quote what goes into it.

        Raises BackendUnavailable when nothing whole came back in time, BackendError when it was too large.
        """
        limit = bounds or self._bounds
        url = URL(self._base + path, encoded=True)
        if query:
            url = url.with_query(query)
        body = orjson.dumps(json) if json is not None else aiohttp.FormData(form) if form is not None else None
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        if json is not None:
            sent["Content-Type"] = "application/json"
        try:
            async with (
                asyncio.timeout(limit.seconds),
                self._http().request(method, url, data=body, headers=sent, allow_redirects=False) as answer,
            ):
                if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise self._unusable("is compressed, which was not asked for")
                return Answer(self._name, limit.depth, answer.status, await self._read(answer, limit.size))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise unavailable(self._name) from _without_address(error)

    async def _read(self, answer: aiohttp.ClientResponse, most: int) -> bytes:
        if (answer.content_length or 0) > most:
            answer.close()
            raise self._unusable(f"says that it has more than {most} bytes")
        body = bytearray()
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > most:
                answer.close()
                raise self._unusable(f"has more than {most} bytes")
        return bytes(body)

    def _unusable(self, why: str) -> BackendError:
        return unusable(self._name, why)

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            trust = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
            limit = self._connections
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(self._socket, limit=limit) if self._socket
                else aiohttp.TCPConnector(limit=limit, ssl=trust),
                cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None),
            )  # fmt: skip
        return self._session

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        if self._session is not None:
            await self._session.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: its status, and a body that is not larger than it may be."""

    name: str
    depth: int
    status: int
    body: bytes

    async def json(self) -> Any:
        """The body as JSON. Raises as `read` does, also when it is nested too deep."""
        return await self.read(self._parsed)

    async def read(self, parse: Callable[[bytes], T]) -> T:
        """The body as `parse` takes it, or refuses it by ValueError or RecursionError; a long one off the event loop.

        Raises BackendUnavailable when a server's error (5xx) is refused, as of a proxy in front of it; BackendError
        when another answer is.
        """
        try:
            value = await asyncio.to_thread(parse, self.body) if len(self.body) > _LONG else parse(self.body)
        except (ValueError, RecursionError) as error:
            if self.status >= 500:
                raise unavailable(self.name) from error
            wrong = unusable(
                self.name, f"is not the JSON that was asked for, or nested too deep (status {self.status})"
            )
            raise wrong from wrong.__cause__  # the parser's word on the first byte tells an operator less
        return value

    def _parsed(self, body: bytes) -> Any:
        value = orjson.loads(body)
        if self.depth == 0:
            return value
        level = [value] if isinstance(value, dict | list) else []
        for _ in range(self.depth):
            if not level:
                return value
            level = [
                child
                for part in level
                for child in (part.values() if isinstance(part, dict) else part)
                if isinstance(child, dict | list)
            ]
        if level:
            raise ValueError(f"nested deeper than {self.depth}")
        return value


def _without_address(error: Exception) -> Exception:
    """The error for a log: some name the address that was asked, and there are systems that want a session in it."""
    if isinstance(error, aiohttp.ClientResponseError):
        return ValueError(f"{type(error).__name__}: {error.message[:200]}")
    return error


def unavailable(name: str) -> BackendUnavailable:
    """What is said of a system that does not answer."""
    return BackendUnavailable(f"The facility's {name} does not answer at the moment.")


def unusable(name: str, why: str) -> BackendError:
    """What is said of an answer that cannot be used; `why` is for the operator's log, as its cause."""
    error = BackendError(f"The facility's {name} gave an answer that cannot be used.")
    error.__cause__ = ValueError(f"the answer {why}")
    return error


def listed(name: str, value: Any, most: int) -> list[dict[str, Any]]:
    """A list of at most `most` objects. Raises BackendError for anything else."""
    if not isinstance(value, list) or len(value) > most or not all(isinstance(row, dict) for row in value):
        raise unusable(name, f"is no list of at most {most} records")
    return value
