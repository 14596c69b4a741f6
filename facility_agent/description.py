"""What a facility says of itself: to the centre in each Hello, and again whenever it has changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from facility_agent.ports.catalogue import RestorableCatalogue
from shared.facilities import Capability, Environment, FacilityDescription, Flavour, Service, Software

log = logging.getLogger(__name__)


class Description:
    """What the facility advertises: the configuration, and what its adapters report.

    An adapter's fault never ends the agent: what it said last stands, and each new fault is told once.
    """

    def __init__(self, config: Any, catalogue: Any, compute: Any) -> None:
        self._config, self._catalogue, self._compute = config, catalogue, compute
        self._details: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self.instruments: tuple[str, ...] = ()
        self.open_proposals: tuple[str, ...] = ()

    async def refresh(self) -> None:
        """Ask the catalogue what is public."""
        with self._endured("the catalogue does not say what is public"):
            instruments, proposals = await self._catalogue.instruments(), await self._catalogue.open_proposals()
            self.instruments, self.open_proposals = instruments, tuple(sorted(proposals))

    def __call__(self) -> FacilityDescription:
        """The description as it stands."""
        facility, config = self._config.facility, self._config
        isolation = getattr(self._compute, "isolation", "account")
        return FacilityDescription(
            facility_id=facility.id, name=facility.name, place=facility.place, country=facility.country,
            description=facility.description, website=facility.website, data_portal=facility.data_portal,
            contact=facility.contact, agent_version=version("parasol-portal"), instruments=self.instruments,
            open_proposals=self.open_proposals, capabilities=self._capabilities(isolation),
            services=tuple(Service(s.id, s.title, s.description, s.url) for s in facility.services),
            environments=tuple(environments(config, isolation)), flavours=tuple(flavours(config)),
        )  # fmt: skip

    def _capabilities(self, isolation: str) -> tuple[Capability, ...]:
        as_whom = "as the person's account" if isolation == "account" else "as the agent's own user"
        catalogue, compute = (
            self._detail("catalogue", self._catalogue),
            self._detail("compute", self._compute),
        )
        sign_on = self._config.gateway.sign_on
        restores = isinstance(self._catalogue, RestorableCatalogue)
        restore = Capability("restore", "restore", "Restoring archived data", "By the catalogue's archive.")
        return (
            *([restore] if restores else []),
            Capability(
                "catalogue", "catalogue", "Search of datasets", catalogue or "Live search of its catalogue."
            ),
            Capability("compute", "compute", "Workspaces", f"{compute} Runs {as_whom}.".strip()),
            Capability(
                "sign-on",
                "sign-on",
                "Account link",
                f"By {sign_on.title if sign_on else 'username and password'}.",
            ),
        )

    def _detail(self, port: str, adapter: Any) -> str:
        with self._endured(f"the {port} adapter does not say how it is"):
            self._details[port] = getattr(adapter, "detail", "")
        return self._details.get(port, "")

    @contextmanager
    def _endured(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001
            fault = f"{type(error).__name__}: {error}"
            if self._told.get(what) != fault:
                log.warning("%s: %s", what, fault)
            self._told[what] = fault
        else:
            self._told.pop(what, None)


def environments(config: Any, isolation: str) -> list[Environment]:
    """The environments as they are advertised."""
    return [
        Environment(
            e.id, e.title, e.description, e.used_as, e.carried_by,
            tuple(Software(s.name, s.version) for s in e.software), e.flavours, e.recommended or e.flavours[0],
            isolation,
        )
        for e in config.environments
    ]  # fmt: skip


def flavours(config: Any) -> list[Flavour]:
    """The flavours as they are advertised."""
    return [Flavour(f.id, f.title, f.cpus, f.memory, f.gpus, f.storage, f.longest) for f in config.flavours]
