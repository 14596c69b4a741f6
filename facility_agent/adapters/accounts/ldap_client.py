"""Bounded questions to an LDAP server: the one place that knows `ldap3` and translates its errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any, TypeVar

from ldap3 import NONE, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException
from ldap3.core.results import RESULT_INVALID_CREDENTIALS, RESULT_SUCCESS
from ldap3.utils.conv import escape_filter_chars

from shared.errors import BackendUnavailable

T = TypeVar("T")
AT_ONCE, MOST = 8, 5000
REFUSALS = frozenset({RESULT_INVALID_CREDENTIALS, 19, 32, 34, 48, 53})
"""Constraint violation, no such object, invalid DN, inappropriate authentication, unwilling: the bind was judged."""
Entries = list[tuple[str, dict[str, list[str]]]]


def escaped(value: str) -> str:
    """A value within a filter (RFC 4515 §3)."""
    text: str = escape_filter_chars(value)
    return text


@dataclass(frozen=True, slots=True)
class Login:
    """As whom to ask; an empty DN is nobody."""

    dn: str = ""
    password: str = field(default="", repr=False)


class _Verified(Tls):  # type: ignore[misc]
    """Python's own checks of certificate and name: ldap3's rest on a function that Python 3.12 has no more."""

    def __init__(self, ca_file: Path | None) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._ca_file = str(ca_file) if ca_file else None

    def wrap_socket(self, connection: Connection, do_handshake: bool = False) -> None:
        """As ldap3 calls it, before anything is sent."""
        context = ssl.create_default_context(cafile=self._ca_file)
        connection.socket = context.wrap_socket(connection.socket, server_hostname=connection.server.host)


class LdapClient:
    """Each question is a connection of its own, in one of eight threads, ended by the sockets' time-outs."""

    def __init__(self, url: str, login: Login, ca_file: Path | None, *, plaintext: bool, within_s: int) -> None:
        self._tls = _Verified(ca_file)
        self._url, self._login, self._within_s = url, login, within_s
        self._start_tls = url.startswith("ldap://") and not plaintext
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ldap")

    async def search(self, base: str, question: str, wanted: tuple[str, ...], most: int = MOST) -> Entries:
        """Every entry that fits. Raises BackendUnavailable, also when there are more than `most` or some were left out."""
        return await self._in_a_thread(lambda open_: self._search(open_, base, question, wanted, most))

    async def takes(self, login: Login) -> bool:
        """Whether the directory takes this password. Raises BackendUnavailable."""
        return await self._in_a_thread(lambda open_: self._takes(open_, login))

    async def _in_a_thread(self, work: Callable[[list[Connection]], T]) -> T:
        opened: list[Connection] = []
        try:
            async with asyncio.timeout(3 * self._within_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work, opened)
        except Exception as error:  # noqa: BLE001 (what is no LDAP raises anything within ldap3)
            raise BackendUnavailable("The facility's accounts cannot be read.") from _named(error)
        finally:
            for connection in opened:  # of a thread that is still at it: it ends now
                with suppress(OSError, AttributeError):
                    connection.socket.shutdown(SHUT_RDWR)

    def _search(
        self, opened: list[Connection], base: str, question: str, wanted: tuple[str, ...], most: int
    ) -> Entries:
        with self._connection(opened, self._login) as connection:
            if not self._bound(connection):
                raise LDAPException("the directory does not take the agent's own password")
            connection.search(
                base, question, SUBTREE, attributes=list(wanted), size_limit=most, time_limit=self._within_s
            )
            if connection.result["result"] != RESULT_SUCCESS:
                raise LDAPException(connection.result["description"])
            if any(said["type"] != "searchResEntry" for said in connection.response):
                raise LDAPException("some of the answer is at another server; name a narrower base")
            return [_entry(said) for said in connection.response]

    def _takes(self, opened: list[Connection], login: Login) -> bool:
        with self._connection(opened, login) as connection:
            return self._bound(connection)

    @contextmanager
    def _connection(self, opened: list[Connection], login: Login) -> Iterator[Connection]:
        # A `Server` remembers that it could not be reached, so each connection has its own.
        server = Server(self._url, tls=self._tls, get_info=NONE, connect_timeout=self._within_s)
        connection = Connection(
            server, login.dn or None, login.password or None, auto_bind=False, read_only=True,
            auto_referrals=False, receive_timeout=self._within_s, check_names=False, raise_exceptions=False,
        )  # fmt: skip
        opened.append(connection)
        try:
            yield connection
        finally:
            opened.remove(connection)
            with suppress(LDAPException, OSError):
                connection.unbind()
            if connection.socket is not None:  # ldap3 leaves one open that could not connect
                connection.socket.close()

    def _bound(self, connection: Connection) -> bool:
        connection.open()
        if self._start_tls and not connection.start_tls():
            raise LDAPException("the directory does not speak TLS")
        if connection.bind():
            return True
        if connection.result["result"] in REFUSALS:
            return False
        raise LDAPException(connection.result["description"])


def _named(error: Exception) -> ConnectionError:
    """Its kind and first line: what libraries say of a failed bind may hold what was sent."""
    return ConnectionError(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200])


def _entry(said: Any) -> tuple[str, dict[str, list[str]]]:
    """Names in lower case, as servers spell them differently; what is no text (objectGUID) in hexadecimal."""
    return said["dn"], {
        name.lower(): [_text(value) for value in said["raw_attributes"][name]] for name in said["raw_attributes"]
    }


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"
