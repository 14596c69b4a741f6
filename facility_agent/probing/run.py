"""All probes of one facility, in their order."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facility_agent import recording
from facility_agent.adapters.places.rules import places_of
from facility_agent.building import Adapters, adapters
from facility_agent.config import Located
from facility_agent.core.access import CatalogueRules
from facility_agent.core.catalogue import Catalogue
from facility_agent.description import flavours
from facility_agent.ports.catalogue import STRANGER, Reader, RestorableCatalogue
from facility_agent.ports.tokens import PersonalCatalogue, PersonSession
from facility_agent.probing import machine, people
from facility_agent.probing.catalogue import CatalogueProbes, Shelf
from facility_agent.probing.results import Place, Probes, Result

WITHIN = 20.0
LEAVING = 5.0
Tell = Callable[[Result], None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What to try: the reading of `username` too unless that is empty, and how long one probe may take."""

    username: str = ""
    seconds: float = WITHIN


async def probe(located: Located, tell: Tell, wish: Wish) -> bool:
    """Try each of the facility's systems; `tell` hears of each result at once. Returns whether something hung.

    The adapters are built as the agent builds them, with folders of their own that are taken away again: an agent
    that runs meanwhile is not disturbed, and what it has stored proves nothing. Raises ConfigError.
    """
    below = located.path(located.config.agent.state)
    below.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="probe-", dir=below, ignore_cleanup_errors=True) as state:
        return await _Probing(located, tell, wish, adapters(located, Path(state))).run()


class _Probing:
    def __init__(self, located: Located, tell: Tell, wish: Wish, made: Adapters) -> None:
        self._located, self._tell, self._wish, self._made = located, tell, wish, made
        self._hung = False

    async def run(self) -> bool:
        async with AsyncExitStack() as stack:
            entered = {
                port: await self._enter(stack, port) for port in ("accounts", "access", "catalogue", "compute")
            }
            reader = await self._people(entered)
            if entered["catalogue"]:
                await self._catalogue(reader)
            if entered["compute"]:
                sizes, place = flavours(self._located.config), self._place("compute")
                self._hung |= await machine.compute(self._made.compute, sizes, place, self._wish.seconds)
            await self._egress()
        return self._hung

    def _place(self, port: str) -> Place:
        return Place(f"{port}.{getattr(self._located.config, port)['adapter']}", self._tell)

    async def _enter(self, stack: AsyncExitStack, port: str) -> bool:
        """Whether the adapter is ready to be asked."""
        adapter = getattr(self._made, port)
        if not hasattr(adapter, "__aenter__"):
            return adapter is not None
        probes = Probes(self._place(port), self._wish.seconds)

        async def enter() -> None:
            await adapter.__aenter__()
            stack.push_async_callback(self._leave, adapter)

        good = await probes.run("beginning", enter)
        self._hung |= probes.hung
        return good

    async def _leave(self, adapter: Any) -> None:
        limit = asyncio.timeout(LEAVING)
        try:
            async with limit:
                await adapter.__aexit__(None, None, None)
        except Exception:  # noqa: BLE001 (it was asked already, and has said what it could)
            self._hung = True
        self._hung |= limit.expired()

    async def _people(self, entered: dict[str, bool]) -> Reader | None:
        """Who reads beside a stranger, None for nobody."""
        username, seconds, account, reader = self._wish.username, self._wish.seconds, None, None
        if entered["accounts"]:
            account, hung = await people.directory(self._made.accounts, username, self._place("accounts"), seconds)
            self._hung |= hung
        named, place = self._located.config.access["adapter"], self._place("access")
        if not entered["accounts"] or not (entered["access"] or self._made.access is None):
            place.skip("rules", "what they need could not be begun.")
            return None
        rules = self._made.rules(named)
        if account is None:  # the accounts' word would be no before anybody else is asked
            rules = self._made.access or (
                CatalogueRules(self._made.catalogue) if named == "catalogue" else self._made.accounts
            )
        reader, hung = await people.access(rules, account, place, seconds)
        self._hung |= hung
        return reader

    async def _catalogue(self, reader: Reader | None) -> None:
        shelf = recording.shelf(self._made.catalogue, recording.policy(self._located))
        rules = self._made.rules(self._located.config.access["adapter"])
        places = Catalogue(shelf, rules, places_of(self._located.config.places))
        archive = self._made.catalogue if isinstance(self._made.catalogue, RestorableCatalogue) else None
        unknown = self._located.config.archive.mount_unknown
        asked = Shelf(shelf, places.places_of, archive, unknown)
        place, username = self._place("catalogue"), self._wish.username
        asking = [(STRANGER, place)]
        wish = await self._own_sessions(place)
        if reader is not None and wish is PersonSession.REQUIRED:
            place.skip(f"as {username}", "nobody but themself can open the session of their own that is required.")
        elif reader is not None:
            asking.append((reader, Place(f"{place.name} as {username}", self._tell)))
        elif username:
            place.skip(f"as {username}", "who that is could not be established.")
        for who, told in asking:
            probes = CatalogueProbes(asked, who, told, self._wish.seconds)
            await probes.run()
            self._hung |= probes.hung

    async def _own_sessions(self, place: Place) -> PersonSession:
        """Whether people are asked for in sessions of their own, and whether the catalogue can."""
        catalogue = self._made.catalogue
        if not isinstance(catalogue, PersonalCatalogue) or catalogue.person_session is PersonSession.NEVER:
            return PersonSession.NEVER
        wish = catalogue.person_session

        async def able() -> None:
            mend = "See its `run.properties`, and that its sign-on is the one of [gateway.sign_on]."
            if not (fault := await catalogue.person_fault()):
                place.ok("own sessions", "It takes tokens of a sign-on.")
            elif wish is PersonSession.REQUIRED:
                place.fail("own sessions", fault, mend)
            else:
                place.warn("own sessions", f"{fault} The portal's account asks for everybody.", mend)

        probes = Probes(place, self._wish.seconds)
        await probes.run("own sessions", able)
        self._hung |= probes.hung
        return wish

    async def _egress(self) -> None:
        folder, head = recording.places(self._located)
        size = self._located.config.agent.egress_file_mib * 2**20
        place = Place("egress", self._tell)
        self._hung |= await machine.egress(folder, head, size, place, self._wish.seconds)
