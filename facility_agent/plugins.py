"""How an adapter is found and built: an entry point that names a `Plugin`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

GROUPS = {
    "catalogue": "parasol.catalogue", "compute": "parasol.compute", "accounts": "parasol.accounts",
    "access": "parasol.access",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Site:
    """What every adapter may know of its surroundings: a private folder of its own, and where the
    configuration file lies (relative paths in settings are relative to `config_folder`).
    """

    facility_id: str
    state: Path
    config_folder: Path


@dataclass(frozen=True, slots=True)
class Fault:
    """What an adapter finds wrong with what it was given: which of its settings, what, and the mend."""

    setting: str
    what: str
    mend: str
    fatal: bool = True


class Plugin(Protocol):
    """An adapter's entry: its settings model, and how to build it. Building does no I/O beyond opening its state.

    An adapter that has a method `faults() -> Iterable[Fault]` is asked by `facility-agent check`; it may read, not write.
    """

    settings: type[BaseModel]

    @staticmethod
    def build(settings: Any, site: Site) -> Any:
        """The adapter. It may be an async context manager; composition then enters and leaves it."""
        ...


def find(port: str, name: str) -> Plugin:
    """The plugin called `name` for a port of `GROUPS`. Raises LookupError naming those that exist."""
    found = {point.name: point for point in entry_points(group=GROUPS[port])}
    if name not in found:
        raise LookupError(f"there is no {port} adapter {name!r}; installed: {', '.join(sorted(found)) or 'none'}")
    plugin: Plugin = found[name].load()
    return plugin
