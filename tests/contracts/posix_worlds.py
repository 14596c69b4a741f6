"""The name service switch and an LDAP server, for the accounts' suites."""

from __future__ import annotations

import json
import subprocess
import sys
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from facility_agent.adapters.accounts.ldap import LdapAccounts, LdapPlugin, LdapSettings
from facility_agent.adapters.accounts.nss import NssAccounts, NssSettings
from facility_agent.adapters.accounts.nss_calls import Entry
from facility_agent.plugins import Site
from facility_agent.ports.directory import Account
from facility_agent.testing.accounts_world import AccountsWorld, CannotHold, Person
from tests.components import ROOT
from tests.slapd import AGENT, PASSWORD, SUFFIX, numbers, shared_slapd

LOOK_UP = """
import dataclasses, json, sys
from facility_agent.adapters.accounts.nss_calls import look_up
try:
    entry = look_up(sys.argv[1])
    print(json.dumps({"entry": entry and dataclasses.asdict(entry)}))
except OSError as error:
    print(json.dumps({"errno": error.errno}))
except LookupError as error:
    print(json.dumps({"group": error.args[0]}))
"""


def gid_of(proposal: str) -> int:
    """The gid of a proposal's group."""
    return 7000 + int(proposal.removeprefix("P-"))


class PosixWorld(AccountsWorld):
    """A proposal is a group here, so its gid is one of the account's."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.kept: dict[str, Person] = {}

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def expected(self, person: Person) -> Account:
        gids = (*person.groups, *(gid_of(proposal) for proposal in person.proposals))
        return super().expected(replace(person, groups=tuple(sorted(set(gids) - {person.gid or 0}))))

    def put(self, person: Person) -> None:
        self.kept[person.username] = person
        try:
            self.write()
        except CannotHold:
            del self.kept[person.username]
            self.write()
            raise

    def remove(self, username: str) -> None:
        self.kept.pop(username, None)
        self.write()

    @abstractmethod
    def write(self) -> None:
        """Bring the facility's system to what is kept."""

    def members(self) -> dict[tuple[str, int], list[str]]:
        """(name, gid) of each group with its members."""
        found: dict[tuple[str, int], list[str]] = {}
        for person in self.kept.values():
            for gid in person.groups:
                found.setdefault((f"g{gid}", gid), []).append(person.username)
            for proposal in person.proposals:
                found.setdefault((f"p{proposal}", gid_of(proposal)), []).append(person.username)
        return found


class NssWorld(PosixWorld):
    """glibc's own files behind the real switch, in a mount namespace where /etc holds others."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.working()
        self.write()
        settings = NssSettings(proposal_group="p{proposal}", within_s=30)
        self.directory = self.sign_on = self.rules = NssAccounts(settings, self.look_up)

    def working(self, source: str = "files") -> None:
        """Where accounts come from."""
        (self.folder / "nsswitch.conf").write_text(f"passwd: {source}\ngroup: {source}\ninitgroups: {source}\n")

    def look_up(self, name: str) -> Entry | None:
        """What the adapter's own call says in there."""
        binds = "; ".join(f"mount --bind {self.folder / f} /etc/{f}" for f in ("passwd", "group", "nsswitch.conf"))
        around = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", f'{binds}; exec "$@"', "-"]
        done = subprocess.run(
            [*around, sys.executable, "-c", LOOK_UP, name], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        if "errno" in said:
            raise OSError(said["errno"], "")
        if "group" in said:
            raise LookupError(said["group"])
        entry = said["entry"]
        return entry and Entry(**{**entry, "groups": {int(gid): name for gid, name in entry["groups"].items()}})

    def expected(self, person: Person) -> Account:
        return replace(super().expected(person), immutable_id=f"uid:{person.uid}")

    def write(self) -> None:
        lines, groups = list[str](), ["root:x:0:"]
        for person in self.kept.values():
            numbers = (person.uid, person.gid, *person.groups)
            if any(number is None or number < 0 for number in numbers) or person.home is None:
                raise CannotHold
            shell = "/bin/sh" if person.enabled else "/usr/sbin/nologin"
            name = f"{person.username}:x:{person.uid}:{person.gid}"
            lines.append(f"{name}:{person.display_name},room 1:{person.home}:{shell}")
            groups.append(f"own{person.gid}:x:{person.gid}:")
        groups += [f"{name}:x:{gid}:{','.join(members)}" for (name, gid), members in self.members().items()]
        (self.folder / "passwd").write_text("\n".join(lines) + "\n")
        (self.folder / "group").write_text("\n".join(groups) + "\n")

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.working("no_such_source")
        yield
        self.working()


class LdapWorld(PosixWorld):
    """A base of its own in a real directory."""

    def __init__(self, folder: Path, member: str = "memberUid", **settings: Any) -> None:
        super().__init__()
        (folder / "ldap.password").write_text(PASSWORD)
        (folder / "ldap.password").chmod(0o600)
        self.server, self.member = shared_slapd(), member
        self.base = f"ou=w{next(numbers)},{SUFFIX}"
        self.server.add(self.base, ["organizationalUnit"], ou=self.base.split(",")[0].removeprefix("ou="))
        for name in ("people", "groups"):
            self.server.add(f"ou={name},{self.base}", ["organizationalUnit"], ou=name)
        values: dict[str, Any] = {
            "url": self.server.url, "plaintext": True, "bind_dn": AGENT, "password_file": Path("ldap.password"),
            "people": f"ou=people,{self.base}", "groups": f"ou=groups,{self.base}", "groups_filter": "(cn=*)",
            "people_filter": "(&(objectClass=person)(!(description=disabled)))", "immutable_id": "employeeNumber",
            "member": member, "proposal_group": "p{proposal}", **settings,
        }  # fmt: skip
        self.settings = LdapSettings(**values)
        built = LdapPlugin.build(self.settings, Site("example", folder, folder))
        accounts = LdapAccounts(self.settings, built._client, lambda: self.now)
        self.directory = self.sign_on = self.rules = self.accounts = accounts

    def dn(self, username: str) -> str:
        """Of a person's entry."""
        return f"uid={username},ou=people,{self.base}"

    def write(self) -> None:
        self.server.clear(f"ou=people,{self.base}", "(objectClass=person)")
        self.server.clear(f"ou=groups,{self.base}", "(cn=*)")
        for person in self.kept.values():
            if person.home == "":
                raise CannotHold  # an empty value is none
            values = {
                "uid": person.username, "sn": "x", "cn": person.display_name, "employeeNumber": person.immutable_id,
                "uidNumber": person.uid, "gidNumber": person.gid, "homeDirectory": person.home,
                "description": "enabled" if person.enabled else "disabled", "userPassword": person.password or None,
            }  # fmt: skip
            classes = ["inetOrgPerson", "extensibleObject"]
            self.server.add(
                self.dn(person.username), classes, **{k: v for k, v in values.items() if v is not None}
            )
        for (name, gid), members in self.members().items():
            named = members if self.member == "memberUid" else [self.dn(member) for member in members]
            values = {"cn": name, "gidNumber": gid, self.member: named}
            self.server.add(f"cn={name},ou=groups,{self.base}", ["device", "extensibleObject"], **values)

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.server.kill()
        yield
        self.server.start()


@asynccontextmanager
async def nss_accounts(folder: Path) -> AsyncIterator[AccountsWorld]:
    yield NssWorld(folder)


@asynccontextmanager
async def ldap_accounts(folder: Path) -> AsyncIterator[AccountsWorld]:
    yield LdapWorld(folder)
