"""The agent's egress log, wired: what is built once, and what the operator does with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from facility_agent.config import ConfigError, Located
from facility_agent.egress.allow import allowed
from facility_agent.egress.files import LogFiles
from facility_agent.egress.log import EgressLog
from facility_agent.egress.narrowing import NarrowedCatalogue
from facility_agent.egress.people import Pseudonyms
from facility_agent.egress.policy import Policy, read_policy
from facility_agent.egress.recorder import Recorder
from facility_agent.link.leaving import Leaving
from facility_agent.ports.catalogue import CatalogueBackend
from facility_agent.ports.egress import Entry, Kind
from facility_agent.ports.store import Store, Vault
from shared.errors import BackendUnavailable
from shared.identity import Subject
from shared.wire.sieve import Sieve

ERASED = "people.erase"


def places(located: Located) -> tuple[Path, Path]:
    """(folder of the log, file of its head)."""
    state = located.path(located.config.agent.state)
    return state / "egress", state / "egress.head"


def policy(located: Located) -> Policy:
    """What the site narrows. Raises ConfigError."""
    path = located.config.agent.egress_policy
    if path is None:
        return Policy()
    try:
        return read_policy(located.path(path))
    except OSError as error:
        raise ConfigError(f"agent.egress_policy: {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"agent.egress_policy: {path}: {error}") from None


def shelf(catalogue: CatalogueBackend, narrowing: Policy) -> CatalogueBackend:
    """The catalogue as it may be asked by anybody outside: itself when the site's policy narrows nothing."""
    return NarrowedCatalogue(catalogue, narrowing.fields) if narrowing.fields else catalogue


class Recording:
    """The parts of one agent. Raises ConfigError for a policy that cannot be read."""

    def __init__(self, located: Located, store: Store, vault: Vault, clock: Callable[[], float]) -> None:
        self._policy = policy(located)
        sieve = Sieve(allowed(), self._policy.paths)
        folder, head = places(located)
        files = LogFiles(folder, head, located.config.agent.egress_file_mib * 2**20)
        self._people = Pseudonyms(store, vault)
        self._log = EgressLog(files, clock)
        self.recorder = Recorder(self._log, self._people, clock)
        self.leaving = Leaving(sieve, self.recorder)

    def narrowed(self, catalogue: CatalogueBackend) -> CatalogueBackend:
        """See `shelf`."""
        return shelf(catalogue, self._policy)

    async def erase(self, request: web.Request) -> web.Response:
        """Destroy the key of a person's pseudonym: `{"issuer": ..., "sub": ...}`; answers `erased` or `unknown`."""
        try:
            asked = await request.json()
            subject = Subject(str(asked["issuer"]), str(asked["sub"]))
        except (ValueError, TypeError, KeyError):
            return web.Response(status=400)
        try:
            found = await self._people.erase(subject)
            await self.recorder.record(Entry(ERASED, Kind.DONE))
        except BackendUnavailable:
            return web.Response(status=503)
        return web.Response(text="erased" if found else "unknown")

    def close(self) -> None:
        """Close the log after what is under way."""
        self._log.close()
