"""What a resolver has: the services, and who asks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from central_portal.api import render
from central_portal.api.homes import Homes
from central_portal.catalogue.finding import Finding
from central_portal.catalogue.restoring import Restoring
from central_portal.catalogue.services import FederatedSearch
from central_portal.facilities.services import Facilities
from central_portal.federation import Federation
from central_portal.identity.services import AccountLinkInfo, Caller, Identity
from central_portal.identity.unlinking import Unlinking
from central_portal.mirror.counting import OpenCounts
from central_portal.workspaces.services import Workspaces
from shared.errors import Unauthenticated


@dataclass(frozen=True, slots=True)
class Services:
    """What resolvers call."""

    identity: Identity
    facilities: Facilities
    workspaces: Workspaces
    search: FederatedSearch
    unlinking: Unlinking
    restoring: Restoring
    finding: Finding
    federation: Federation
    homes: Homes = field(default_factory=Homes)
    open_counts: OpenCounts = field(default_factory=OpenCounts)


@dataclass(slots=True)
class Context:
    """One operation: the services, and who asks (None for an anonymous reader)."""

    services: Services
    caller: Caller | None
    _links: Mapping[str, AccountLinkInfo] | None = None

    def signed_in(self) -> Caller:
        """The caller. Raises Unauthenticated."""
        if self.caller is None:
            raise Unauthenticated("Sign in to the portal first.")
        return self.caller

    async def homes(self) -> dict[str, render.Data]:
        """Every facility as data, with this caller's account links."""
        links = self._links
        if links is None and self.caller is not None:
            links = self._links = await self.services.identity.account_links(self.caller)
        return self.services.homes.of(self.services.facilities.all(), time.time(), links)
