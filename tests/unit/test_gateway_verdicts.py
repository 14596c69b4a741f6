"""Verdicts hold until the agent takes them back, also those that are under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from facility_agent.gateway.verdicts import HOLDS_S, Verdicts
from facility_agent.ports.compute import Endpoint
from facility_agent.ports.doorkeeper import Revocation, WorkspaceAccess, WorkspaceDoor
from shared.errors import BackendUnavailable
from shared.identity import Subject

OPEN = WorkspaceDoor("w", "Title", "RUNNING", True, Endpoint(Path("/s")))


class Agent(WorkspaceAccess):
    """Answers when it is told to, with what held when it was asked."""

    def __init__(self) -> None:
        self.door: WorkspaceDoor | None = OPEN
        self.asked: list[str] = []
        self.answer = asyncio.Event()
        self.answer.set()
        self.was_asked = asyncio.Event()
        self.down = False

    async def pass_of(self, workspace_id: str, cookie_hash: str) -> WorkspaceDoor | None:
        self.asked.append(cookie_hash)
        self.was_asked.set()
        held = self.door
        await self.answer.wait()
        if self.down:
            raise BackendUnavailable
        return held

    async def visit(self, workspace_id: str, subject: Subject) -> WorkspaceDoor:
        raise NotImplementedError

    async def invite(self, workspace_id: str, subject: Subject, sid: str, state_hash: str, code_hash: str) -> None:
        raise NotImplementedError

    async def admit(self, workspace_id: str, code_hash: str, state_hash: str, cookie_hash: str) -> None:
        raise NotImplementedError

    async def carried(self, workspace_id: str, sent: int, received: int) -> None:
        raise NotImplementedError

    def revocations(self) -> AsyncIterator[Revocation]:
        raise NotImplementedError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_verdict_is_asked_for_once_and_holds_for_a_minute() -> None:
    agent, clock = Agent(), Clock()
    verdicts = Verdicts(agent, clock)
    for _ in range(3):
        assert await verdicts.of("w", "c") is OPEN
    assert verdicts.known("w", "c") is OPEN
    clock.now = HOLDS_S
    assert verdicts.known("w", "c") is None
    await verdicts.of("w", "c")
    assert agent.asked == ["c", "c"]


async def test_a_verdict_that_a_revocation_overtook_is_asked_for_again() -> None:
    agent = Agent()
    verdicts = Verdicts(agent)
    agent.answer.clear()
    asking = asyncio.create_task(verdicts.of("w", "c"))
    await agent.was_asked.wait()
    agent.door = None
    await verdicts.revoke(Revocation(session_hash="c"))
    agent.answer.set()
    assert await asking is None
    assert verdicts.known("w", "c") is None


async def test_a_revocation_of_another_cookie_overtakes_nothing() -> None:
    agent = Agent()
    verdicts = Verdicts(agent)
    agent.answer.clear()
    asking = asyncio.create_task(verdicts.of("w", "c"))
    await agent.was_asked.wait()
    await verdicts.revoke(Revocation(session_hash="another"))
    await verdicts.revoke(Revocation(workspace_id="another"))
    agent.answer.set()
    assert await asking is OPEN
    assert agent.asked == ["c"]


async def test_an_agent_that_revokes_without_end_lets_nobody_in() -> None:
    class Restless(Agent):
        async def pass_of(self, workspace_id: str, cookie_hash: str) -> WorkspaceDoor | None:
            await verdicts.revoke(Revocation())
            return OPEN

    verdicts = Verdicts(Restless())
    with pytest.raises(BackendUnavailable):
        await verdicts.of("w", "c")
    assert verdicts.known("w", "c") is None


@pytest.mark.parametrize(
    "after", [None, WorkspaceDoor("w", "", "RUNNING", False), WorkspaceDoor("w", "", "ENDED", True)]
)
async def test_only_what_is_no_longer_allowed_is_cut(after: WorkspaceDoor | None) -> None:
    agent, cut = Agent(), []
    verdicts = Verdicts(agent)
    await verdicts.of("w", "c")
    leave = verdicts.on_cut("w", "c", lambda: cut.append("gone"))
    verdicts.on_cut("w", "c", lambda: cut.append("cut"))
    leave()
    await verdicts.revoke(Revocation())
    assert cut == []
    agent.door = after
    await verdicts.revoke(Revocation(workspace_id="another"))
    assert cut == []
    await verdicts.revoke(Revocation(workspace_id="w"))
    assert cut == ["cut"]


async def test_an_agent_that_does_not_answer_cuts_nobody() -> None:
    agent, cut = Agent(), []
    verdicts = Verdicts(agent)
    verdicts.on_cut("w", "c", lambda: cut.append(1))
    agent.down = True
    await verdicts.revoke(Revocation())
    assert cut == []
    with pytest.raises(BackendUnavailable):
        await verdicts.of("w", "c")
