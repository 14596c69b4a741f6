"""Pure decisions on a workspace's row: fold a report, what an inventory implies, which steps to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from shared.commands import Problem
from shared.errors import Expired
from shared.workspaces import (
    STEPS,
    LaunchRequest,
    StepName,
    Why,
    WorkspaceReport,
    WorkspaceState,
    accepts,
    shown_state,
)


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was entered, at a POSIX second of the centre's clock."""

    name: StepName
    entered_at: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    """One workspace as the centre knows it. Times are POSIX seconds."""

    id: str
    person_id: int
    facility: str
    environment: str
    environment_title: str
    flavour: str
    proposals: tuple[str, ...]
    dataset: str
    title: str
    lifetime_s: int
    state: WorkspaceState
    sequence: int
    steps: tuple[Step, ...]
    reason: str
    message: str
    requested_at: float
    changed_at: float
    seen_at: float | None = None
    ends_at: float | None = None
    stop_requested_at: float | None = None

    @property
    def problem(self) -> Problem | None:
        """Why it failed or ended, None when there is nothing to say."""
        return Problem(self.reason, self.message) if self.reason else None

    def is_answer_to(self, person_id: int, facility_id: str, request: LaunchRequest) -> bool:
        """Whether this is what the same person asked for with the same words."""
        asked = LaunchRequest(
            self.environment, self.flavour, self.proposals, self.dataset, self.title, self.lifetime_s
        )
        return (self.person_id, self.facility, asked) == (person_id, facility_id, request)


def fold(view: WorkspaceView, report: WorkspaceReport, now: float) -> WorkspaceView:
    """The row after a report: changed when the report is newer and nothing has ended; seen in any case."""
    if not accepts(view.state, view.sequence, report):
        return replace(view, seen_at=now)
    steps = tuple(Step(step.name, now - step.entered_ago, step.detail) for step in report.steps)
    return replace(
        view, state=report.state, sequence=report.sequence, steps=steps or view.steps, reason=report.reason,
        message=report.message, changed_at=now, seen_at=now,
        ends_at=now + report.ends_in if report.ends_in is not None else view.ends_at,
    )  # fmt: skip


NEVER_SENT = Problem(
    Expired.reason,
    "The facility was not connected for ten minutes, so it never heard of this; ask again.",
    retryable=True,
)
CANCELLED = Problem(Why.CANCELLED.value, "You stopped it before the facility had heard of it.")


def absent(view: WorkspaceView, now: float) -> WorkspaceView:
    """The row when an inventory does not name it.

    One that the facility has never reported is left to its order. Anything else becomes UNKNOWN, never ended: an
    absence proves nothing.
    """
    if view.state.is_final or view.state is WorkspaceState.UNKNOWN or view.sequence == 0:
        return view
    return replace(view, state=WorkspaceState.UNKNOWN, changed_at=now)


LOST = Problem(
    Why.STORE_LOST.value,
    "The facility lost its records, but this still runs there; its operator can end it or give it back.",
)


def orphaned(view: WorkspaceView, now: float) -> WorkspaceView:
    """The row of what runs at a facility whose store does not know it."""
    if (view.state, view.problem) == (WorkspaceState.UNKNOWN, LOST):
        return view
    return replace(
        view, state=WorkspaceState.UNKNOWN, reason=LOST.reason, message=LOST.message, changed_at=now
    )  # fmt: skip


def stop_asked(view: WorkspaceView, now: float) -> WorkspaceView:
    """The row once its facility is to stop it."""
    return replace(view, stop_requested_at=now, changed_at=now)


def stop_refused(view: WorkspaceView, now: float) -> WorkspaceView:
    """The row when the facility would not stop it: it can be asked again."""
    return replace(view, stop_requested_at=None, changed_at=now)


def cancelled(view: WorkspaceView, now: float) -> WorkspaceView:
    """The row of a launch that was taken back before it was sent."""
    return replace(
        view, state=WorkspaceState.ENDED, reason=CANCELLED.reason, message=CANCELLED.message, changed_at=now
    )


def failed(view: WorkspaceView, problem: Problem, now: float) -> WorkspaceView:
    """The row after a refusal."""
    return replace(
        view, state=WorkspaceState.FAILED, reason=problem.reason, message=problem.message, changed_at=now
    )


def refused(view: WorkspaceView, problem: Problem, now: float) -> WorkspaceView:
    """The row when the answer to its launch was no; what was reported meanwhile stands."""
    return failed(view, problem, now) if view.sequence == 0 and not view.state.is_final else view


class StepState(StrEnum):
    """How far a step is."""

    WAITING = "WAITING"
    ACTIVE = "ACTIVE"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step as it is shown."""

    name: StepName
    state: StepState
    detail: str = ""
    entered_at: float | None = None


def shown_steps(state: WorkspaceState, steps: Sequence[Step], requested_at: float) -> tuple[ShownStep, ...]:
    """All steps of a launch: those before the last entered are done; the last is active, done or failed.

    What failed once it was ready has started all the same.
    """
    entered = {step.name: step for step in steps}
    entered.setdefault(StepName.ASK, Step(StepName.ASK, requested_at))
    last = max(STEPS.index(name) for name in entered)
    at_last = StepState.ACTIVE
    if last == len(STEPS) - 1 or state in (
        WorkspaceState.RUNNING,
        WorkspaceState.STOPPING,
        WorkspaceState.ENDED,
    ):
        at_last = StepState.DONE
    elif state is WorkspaceState.FAILED:
        at_last = StepState.FAILED
    shown = []
    for index, name in enumerate(STEPS):
        step = entered.get(name)
        stage = StepState.DONE if index < last else at_last if index == last else StepState.WAITING
        shown.append(ShownStep(name, stage, step.detail if step else "", step.entered_at if step else None))
    return tuple(shown)


def state_to_show(view: WorkspaceView, online: bool) -> WorkspaceState:
    """UNKNOWN for what lives at a facility that is not connected."""
    return shown_state(view.state, online)
