"""What this facility offers to start, and whether a request fits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.errors import FlavourTooLarge, NotFound
from shared.facilities import Environment, Flavour
from shared.workspaces import LaunchRequest


@dataclass(frozen=True, slots=True)
class Offer:
    """An environment of the configuration with what only the site knows of it."""

    environment: Environment
    command: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Offers:
    """All environments and flavours, by id."""

    environments: Mapping[str, Offer]
    flavours: Mapping[str, Flavour]

    def choose(self, request: LaunchRequest) -> tuple[Offer, Flavour]:
        """The environment and size that a request names. Raises NotFound, FlavourTooLarge."""
        offer, flavour = self.environments.get(request.environment), self.flavours.get(request.flavour)
        if offer is None:
            raise NotFound("The facility does not offer this environment.")
        if flavour is None or flavour.id not in offer.environment.flavours:
            raise FlavourTooLarge(f"{offer.environment.title} is not offered in this size here.")
        if request.lifetime_s > flavour.longest_s:
            raise FlavourTooLarge(
                f"This size lives at most {spoken(flavour.longest_s)} here.",
                metadata={"longest_s": str(flavour.longest_s)},
            )
        return offer, flavour


def spoken(seconds: int) -> str:
    """A duration in the largest unit that says it exactly: 8 hours, 90 minutes."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}{'s' if seconds > size else ''}"
    return f"{seconds} seconds"
