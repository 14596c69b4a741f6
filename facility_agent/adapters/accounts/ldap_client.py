"""Bounded questions to an LDAP server: the one place that knows `ldap3` and translates its errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
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


class LdapClient:
    """Each question is a connection of its own, in one of eight threads, ended by the sockets' time-outs."""

    def __init__(self, url: str, login: Login, ca_file: Path | None, *, plaintext: bool, within_s: float) -> None:
        tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(ca_file) if ca_file else None)
        self._server = Server(url, tls=tls, get_info=NONE, connect_timeout=within_s)
        self._login, self._within_s = login, within_s
        self._start_tls = url.startswith("ldap://") and not plaintext
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ldap")

    async def search(self, base: str, question: str, wanted: tuple[str, ...], most: int = MOST) -> Entries:
        """Every entry that fits. Raises BackendUnavailable, also when there are more than `most` or some were left out."""
        return await self._in_a_thread(lambda: self._search(base, question, wanted, most))

    async def takes(self, login: Login) -> bool:
        """Whether the directory takes this password. Raises BackendUnavailable."""
        return await self._in_a_thread(lambda: self._takes(login))

    async def _in_a_thread(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(3 * self._within_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except (LDAPException, OSError, TimeoutError, ValueError) as error:
            raise BackendUnavailable("The facility's accounts cannot be read.") from _named(error)

    def _search(self, base: str, question: str, wanted: tuple[str, ...], most: int) -> Entries:
        with self._connection(self._login) as connection:
            if not self._bound(connection):
                raise LDAPException("the directory does not take the agent's own password")
            limit = int(self._within_s) + 1
            connection.search(base, question, SUBTREE, attributes=list(wanted), size_limit=most, time_limit=limit)
            if connection.result["result"] != RESULT_SUCCESS:
                raise LDAPException(connection.result["description"])
            return [_entry(said) for said in connection.response if said["type"] == "searchResEntry"]

    def _takes(self, login: Login) -> bool:
        with self._connection(login) as connection:
            return self._bound(connection)

    def _connection(self, login: Login) -> Connection:
        return Connection(
            self._server, login.dn or None, login.password or None, auto_bind=False, read_only=True,
            auto_referrals=False, receive_timeout=self._within_s, check_names=False, raise_exceptions=False,
        )  # fmt: skip

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
