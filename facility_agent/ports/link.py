"""What the link needs of the core, and what the core needs of the link. Both ends are ours: Protocols."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shared.commands import Answer, Command
from shared.facilities import FacilityDescription
from shared.workspaces import WorkspaceInventory, WorkspaceReport

Event = WorkspaceReport | FacilityDescription


class CommandDecoder(Protocol):
    """Reads a command's body. Given by the link to the core, which checks the MAC before it decodes."""

    def __call__(self, body: bytes) -> Command:
        """The command. Raises InvalidRequest for bytes that are none, Unsupported for an unknown verb."""
        ...


class Core(Protocol):
    """The facility's core as the link sees it."""

    async def handle(self, body: bytes, grant_id: str, mac: bytes, decode: CommandDecoder) -> Answer:
        """Judge and carry out one command. Never raises a ParasolError: a refusal is an Answer.

        `grant_id` and `mac` are empty for a command without a grant.
        """
        ...

    def description(self) -> FacilityDescription:
        """What the facility advertises now."""
        ...

    def inventory(self) -> WorkspaceInventory:
        """Every workspace that lives, and those that ended within the last day."""
        ...

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with each event from now on, in the event loop's thread; returns the unsubscribe."""
        ...
