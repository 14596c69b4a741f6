"""The site's rules on its file system."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from facility_agent.adapters.places.contained import contained
from facility_agent.places.settings import MountTable, PlaceTable
from facility_agent.places.template import Rule
from facility_agent.ports.places import MountRule, Places, Whereabouts

FACTS = frozenset({"instrument", "year"})


class SitePlaces(Places):
    """Every rule is looked at, in their order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)

    @property
    def wants_facts(self) -> bool:
        """Whether a rule has `{instrument}` or `{year}`."""
        return any(FACTS & rule.template.names for rule in self._rules)

    async def find(self, about: Whereabouts) -> Sequence[Path]:
        """The folders that exist."""
        return await asyncio.to_thread(self._find, about)

    def _find(self, about: Whereabouts) -> list[Path]:
        found: dict[Path, None] = {}
        for rule in self._rules:
            for path in rule.template.paths(about, rule.titles):
                if folder := contained(rule.root, path):
                    found[folder] = None
        return [
            folder
            for folder in found
            if not any(folder != other and folder.is_relative_to(other) for other in found)
        ]


def places_of(tables: Sequence[PlaceTable]) -> SitePlaces | None:
    """The rules of a configuration, None without any."""
    return SitePlaces([table.rule() for table in tables]) if tables else None


def mounts_of(tables: Sequence[MountTable]) -> list[MountRule]:
    """Each rule of a configuration by itself, in their order."""
    rules = [(table, table.rule()) for table in tables]
    return [
        MountRule(table.name, not table.writable, rule.template.of_proposals, SitePlaces([rule]))
        for table, rule in rules
    ]
