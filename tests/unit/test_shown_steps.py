"""The steps of a launch, as the centre shows them."""

from __future__ import annotations

import pytest

from central_portal.workspaces.logic import Step, StepState, shown_steps
from shared.workspaces import STEPS, StepName, WorkspaceState

S, W = StepState, WorkspaceState
SIX = len(STEPS)


def shown(state: WorkspaceState, last: StepName) -> list[StepState]:
    entered = [Step(name, 1.0) for name in STEPS[: STEPS.index(last) + 1]]
    return [step.state for step in shown_steps(state, entered, 0.0)]


@pytest.mark.parametrize(
    ("state", "last", "at_last"),
    [
        (W.STARTING, StepName.DATA, S.ACTIVE), (W.UNKNOWN, StepName.QUEUE, S.ACTIVE), (W.FAILED, StepName.QUEUE, S.FAILED),
        (W.RUNNING, StepName.READY, S.DONE), (W.UNKNOWN, StepName.READY, S.DONE), (W.ENDED, StepName.START, S.DONE),
    ],
)  # fmt: skip
def test_the_last_step_tells_how_far_it_came(state: WorkspaceState, last: StepName, at_last: StepState) -> None:
    index = STEPS.index(last)
    assert shown(state, last) == [S.DONE] * index + [at_last] + [S.WAITING] * (SIX - index - 1)


def test_what_failed_while_it_ran_had_started() -> None:
    assert shown(W.FAILED, StepName.READY) == [S.DONE] * SIX


def test_what_nobody_has_reported_is_asked_for() -> None:
    steps = shown_steps(W.REQUESTED, [], 7.0)
    assert [step.state for step in steps] == [S.ACTIVE] + [S.WAITING] * (SIX - 1)
    assert steps[0].entered_at == 7.0
