"""Access rules that are not the accounts' own, each over accounts in memory: a user office, and a catalogue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from facility_agent.adapters.access.user_office import UserOffice, UserOfficePlugin, UserOfficeSettings
from facility_agent.core.access import Both, CatalogueRules
from facility_agent.plugins import Site
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.catalogue import Reader
from facility_agent.testing.accounts_world import AccountsWorld, Person
from facility_agent.testing.memory_accounts import MemoryAccounts
from facility_agent.testing.memory_catalogue import MemoryCatalogue
from shared.catalogue import Dataset, ProposalPage, ProposalQuery
from tests.standins.serving import serving
from tests.standins.user_office import Office, build


class Reception:
    """The office's door; `instead` answers in its place."""

    def __init__(self, office: Office) -> None:
        self.instead: Any = None
        self._app = build(office)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.instead or self._app)(scope, receive, send)


BAD_GATEWAY = Response("<html>Bad gateway</html>", 502)


def adapter(base: str, at: Path, /, **more: Any) -> UserOffice:
    """The adapter as composition builds it."""
    password = at / "office.password"
    password.write_text("correct horse\n")
    password.chmod(0o600)
    given = {"url": base, "username": "parasol", "password_file": password, **more}
    return UserOfficePlugin.build(UserOfficeSettings.model_validate(given), Site("alpha", at, at))


class _World(AccountsWorld):
    def __init__(self) -> None:
        self.now = 1000.0
        self.backend = MemoryAccounts(lambda: self.now)
        self.directory = self.sign_on = self.backend

    def ruled(self, rules: AccessRules) -> None:
        self.rules = Both(self.backend, rules)

    def put(self, person: Person) -> None:
        self.backend.put(person)

    def remove(self, username: str) -> None:
        self.backend.remove(username)

    def wait(self, seconds: float) -> None:
        self.now += seconds


class OfficeWorld(_World):
    """What is taken away is taken away by the office; the accounts stay as they were."""

    def __init__(self, office: Office, reception: Reception, rules: UserOffice) -> None:
        super().__init__()
        self.office, self._reception = office, reception
        self.ruled(rules)

    def put(self, person: Person) -> None:
        super().put(person)
        if person.enabled:
            self.office.put(person.username, *person.proposals)
        else:
            self.office.put(person.username, authorized=False)

    def remove(self, username: str) -> None:
        self.office.remove(username)

    @contextmanager
    def outage(self) -> Iterator[None]:
        self._reception.instead = BAD_GATEWAY
        yield
        self._reception.instead = None


class PersonalCatalogue(MemoryCatalogue):
    """A catalogue with rules for each person, as an ICAT has them: by the account's name."""

    def __init__(self) -> None:
        super().__init__({"P-open"})
        self.members: dict[str, frozenset[str]] = {}

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        """Also what the catalogue itself gives to the account."""
        mine = self.members.get(reader.account.username, frozenset()) if reader.account else frozenset[str]()
        return await super().proposals(query, Reader(reader.account, reader.proposals | mine))


class CatalogueRulesWorld(_World):
    """The catalogue's word."""

    def __init__(self) -> None:
        super().__init__()
        self.catalogue = PersonalCatalogue()
        names = [f"P-{n}" for n in range(1, 4)] + ["P-open"]
        self.catalogue.put([Dataset(f"d-{p}", p, p, "", "", "", None, None, 1, 1, is_open=False) for p in names])
        self.ruled(CatalogueRules(self.catalogue))

    def put(self, person: Person) -> None:
        super().put(person)
        self.catalogue.members[person.username] = frozenset(person.proposals)

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.catalogue.down = self.backend.down = True
        yield
        self.catalogue.down = self.backend.down = False


@asynccontextmanager
async def user_office(folder: Path) -> AsyncIterator[AccountsWorld]:
    """A world of its own."""
    office = Office()
    reception = Reception(office)
    async with serving(reception) as base, adapter(base, folder) as rules:
        yield OfficeWorld(office, reception, rules)


@asynccontextmanager
async def catalogue_access(_: Path) -> AsyncIterator[AccountsWorld]:
    """A world of its own."""
    yield CatalogueRulesWorld()
