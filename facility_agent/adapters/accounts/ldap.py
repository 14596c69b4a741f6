"""Accounts from an LDAP directory with POSIX attributes (RFC 2307 and 2307bis); passwords are proved by a bind (RFC 4513 §5.1.3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from facility_agent.adapters.accounts.ldap_client import LdapClient, Login, escaped
from facility_agent.adapters.accounts.posix import Found, GroupSettings, PosixAccounts, is_plausible
from facility_agent.plugins import Fault, Site
from facility_agent.ports.directory import Account
from facility_agent.ports.sign_on import Attempts, PasswordSignOn
from shared.errors import AccessDenied, IdentityRefused, ParasolError

LONGEST_PASSWORD = 1024


class LdapSettings(GroupSettings):
    """Settings of the adapter `ldap`."""

    url: str = Field(
        pattern=r"^(ldaps?://[^/@\s]+|ldapi://\S+)$",
        description="ldaps://host, ldap://host with StartTLS, or ldapi://.",
    )
    ca_file: Path | None = Field(
        default=None, description="Whom to trust for its certificate; else this machine's own."
    )
    plaintext: bool = Field(default=False, description="No TLS on ldap://; only on this machine.")
    bind_dn: str = Field(default="", description="The agent's entry; empty: it asks anonymously.")
    password_file: Path | None = Field(default=None, description="Its password, mode 0600.")
    people: str = Field(description="Base of the people's entries.")
    groups: str = Field(description="Base of the groups' entries.")
    people_filter: str = Field(
        default="(objectClass=posixAccount)", description="Who counts; an account that does not fit is not there."
    )
    groups_filter: str = Field(default="(objectClass=posixGroup)", description="Which groups count.")
    username: str = Field(default="uid", description="Attribute of the username.")
    immutable_id: str = Field(
        default="entryUUID", description="Attribute that never changes and is never given again, e.g. objectGUID."
    )
    display_name: str = Field(default="cn", description="Attribute of the name to show.")
    member: Literal["memberUid", "member", "uniqueMember"] = Field(
        default="memberUid", description="How groups name members: memberUid by username, the others by DN."
    )
    within_s: int = Field(
        default=5, ge=1, le=60, description="How long one step of a question may take, in seconds."
    )

    @model_validator(mode="after")
    def _private(self) -> LdapSettings:
        here = self.url.split("://")[1].split(":")[0] in ("localhost", "127.0.0.1")
        if self.plaintext and not (self.url.startswith("ldap://") and here):
            raise ValueError("plaintext is for ldap:// on this machine only")
        if bool(self.bind_dn) != (self.password_file is not None):
            raise ValueError("bind_dn and password_file belong together")
        return self


class LdapAccounts(PosixAccounts, PasswordSignOn):
    """All three account ports on one directory. Each question is a connection of its own; nothing is kept."""

    def __init__(
        self, settings: LdapSettings, client: LdapClient, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(settings)
        self._settings, self._client, self._attempts = settings, client, Attempts(clock)

    def faults(self) -> Iterator[Fault]:
        """Whether it can be asked at all."""
        try:
            asyncio.run(self._client.search(self._settings.people, "(objectClass=*)", ("1.1",), most=1))
        except ParasolError as error:
            cause = error.__cause__
            yield Fault(
                "url", f"{error.message} ({cause})", "Until then nobody can use the facility.", fatal=False
            )

    async def find(self, username: str) -> Found | None:
        """The account as the directory has it now."""
        person = await self._person(username)
        if person is None:
            return None
        s, dn = self._settings, person[0]
        uid, gid = _number(person[1], "uidNumber"), _number(person[1], "gidNumber")
        home, immutable = _one(person[1], "homeDirectory"), _one(person[1], s.immutable_id)
        key = username if s.member == "memberUid" else dn
        question = f"(&{s.groups_filter}({s.member}={escaped(key)}))"
        groups: dict[int, str] = {}
        for _, entry in await self._client.search(s.groups, question, ("cn", "gidNumber")):
            groups[_number(entry, "gidNumber")] = _one(entry, "cn")
        others = tuple(sorted(groups.keys() - {gid}))
        shown = (person[1].get(s.display_name.lower()) or [""])[0]
        return Found(Account(username, immutable, uid, gid, others, Path(home), shown), frozenset(groups.values()))

    async def _person(self, username: str) -> tuple[str, Mapping[str, list[str]]] | None:
        """(DN, attributes) of the one entry that has exactly this username."""
        s = self._settings
        wanted = (s.username, s.immutable_id, s.display_name, "uidNumber", "gidNumber", "homeDirectory")
        question = f"(&{s.people_filter}({s.username}={escaped(username)}))"
        found = await self._client.search(s.people, question, wanted, most=10)
        same = [(dn, entry) for dn, entry in found if username in entry.get(s.username.lower(), [])]
        if len(same) > 1:
            raise IdentityRefused("The facility has more than one account of this name.")
        return same[0] if same else None

    async def check(self, username: str, password: str) -> str:
        """The username when the directory takes the password."""
        # Asked first: an outage must not count as a wrong password.
        person = await self._person(username) if is_plausible(username) else None
        self._attempts.begin(username)
        dn = person[0] if person else f"{self._settings.username}=nobody,{self._settings.people}"
        # A bind with an empty password succeeds as nobody (RFC 4513 §5.1.2): it is never sent.
        usable = 0 < len(password) <= LONGEST_PASSWORD and password.isprintable()
        right = await self._client.takes(Login(dn, password if usable else "nobody has this password"))
        if not right or not usable or person is None:
            raise AccessDenied("Username or password is wrong.")
        self._attempts.succeeded(username)
        return username


def _one(entry: Mapping[str, list[str]], name: str) -> str:
    values = entry.get(name.lower(), [])
    if len(values) != 1 or not values[0]:
        raise IdentityRefused("The facility's account or one of its groups is incomplete.")
    return values[0]


def _number(entry: Mapping[str, list[str]], name: str) -> int:
    try:
        return int(_one(entry, name))
    except ValueError:
        raise IdentityRefused("The facility's account has no usable numeric identity.") from None


class LdapPlugin:
    """The adapter `ldap`."""

    settings = LdapSettings

    @staticmethod
    def build(settings: LdapSettings, site: Site) -> LdapAccounts:
        """The adapter; asks nothing yet. Raises ValueError for a password file that cannot be used."""
        secret = _secret(site.config_folder / settings.password_file) if settings.password_file else ""
        ca_file = site.config_folder / settings.ca_file if settings.ca_file else None
        login = Login(settings.bind_dn, secret)
        return LdapAccounts(
            settings,
            LdapClient(settings.url, login, ca_file, plaintext=settings.plaintext, within_s=settings.within_s),
        )


def _secret(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise ValueError(f"password_file: {path} is open to other users; make it 0600")
        return path.read_text().strip()
    except OSError as error:
        raise ValueError(f"password_file: {path}: {error.strerror}") from None
