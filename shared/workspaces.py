"""A workspace's life: its states, its steps, and what a report may change.

The facility is the only one that knows; the centre folds reports into its row. A report never
invents an end: UNKNOWN is not ENDED.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from shared.errors import InvalidRequest
from shared.limits import LIMITS

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def is_workspace_id(text: str) -> bool:
    """Whether `text` is a lower-case UUID, the only shape of a workspace id."""
    return _UUID.fullmatch(text) is not None


LAST_SEQUENCE = 2**31 - 1
"""The highest number of a report: GraphQL's Int holds no more."""


class WorkspaceState(StrEnum):
    """REQUESTED → STARTING → RUNNING → STOPPING → ENDED, or FAILED; UNKNOWN when nobody can tell."""

    REQUESTED = "REQUESTED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    ENDED = "ENDED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return self in (WorkspaceState.ENDED, WorkspaceState.FAILED)


class StepName(StrEnum):
    """The steps of a launch, in this order."""

    ASK = "ASK"
    ACCOUNT = "ACCOUNT"
    DATA = "DATA"
    QUEUE = "QUEUE"
    START = "START"
    READY = "READY"


STEPS: tuple[StepName, ...] = tuple(StepName)


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What a person asks a facility to start. The command's id becomes the workspace's id.

    Names only what the facility advertised: environment, flavour, proposals. `dataset` is the pid
    that the person chose, empty for none.
    """

    environment: str
    flavour: str
    proposals: tuple[str, ...]
    dataset: str
    title: str
    lifetime_s: int

    def __post_init__(self) -> None:
        if len(self.proposals) > LIMITS.workspace_proposals:
            raise InvalidRequest(f"A workspace mounts at most {LIMITS.workspace_proposals} proposals.")
        if not 60 <= self.lifetime_s <= 30 * 86400:
            raise InvalidRequest("A workspace lives between one minute and 30 days.")
        if len(self.title) > 200:
            raise InvalidRequest("A title has at most 200 characters.")


class Why(StrEnum):
    """Reasons beside those of `shared.errors`: why a workspace stands as it does though nothing failed.

    LIFETIME: it reached its end. TIMED_OUT: it did not start in time. CANCELLED: stopped before it had begun.
    STORE_LOST: it runs at a facility whose records do not know it. FINISHED: a task that came to its end.
    """

    LIFETIME = "LIFETIME"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"
    STORE_LOST = "STORE_LOST"
    FINISHED = "FINISHED"


@dataclass(frozen=True, slots=True)
class StepReport:
    """A step that was entered: how long ago (seconds, the agent's clock) and a plain detail."""

    name: StepName
    entered_ago: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class WorkspaceReport:
    """The facility's word on one workspace. `sequence` rises with every change of this workspace.

    `ends_in` is in seconds, None when it has no end yet; `reason` (of `shared.errors` or `Why`) and `message` are set
    when FAILED and may be set when ENDED.
    """

    workspace_id: str
    sequence: int
    state: WorkspaceState
    steps: tuple[StepReport, ...] = ()
    ends_in: float | None = None
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class WorkspaceInventory:
    """Every workspace the facility still knows, sent with each Hello.

    `unowned` are workspaces that run there although its store has no row for them. With `complete`
    its own systems could be read: what is named nowhere here does not run.
    """

    reports: tuple[WorkspaceReport, ...] = ()
    unowned: tuple[str, ...] = ()
    complete: bool = False


def accepts(state: WorkspaceState, sequence: int, report: WorkspaceReport) -> bool:
    """Whether `report` changes a row at `state` and `sequence`: newer, and nothing follows an end.

    What nobody could tell is known again once the facility says it, though nothing has changed there meanwhile.
    """
    newer = report.sequence > sequence or (state is WorkspaceState.UNKNOWN and report.sequence == sequence)
    return newer and not state.is_final


def shown_state(state: WorkspaceState, online: bool) -> WorkspaceState:
    """The state to show: a living workspace at a facility that is not connected is UNKNOWN."""
    return state if online or state.is_final or state is WorkspaceState.REQUESTED else WorkspaceState.UNKNOWN
