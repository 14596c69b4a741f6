"""What every `ComputeBackend` must do. Subclass `ComputeContract` and give it the fixture `world`."""

from __future__ import annotations

import asyncio
import json
import stat
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace

import pytest

from facility_agent.ports.compute import ComputeBackend, Endpoint, Observation, RunState, StartSpec
from facility_agent.ports.directory import Account
from facility_agent.testing.patience import eventually
from shared.errors import InvalidRequest, ParasolError

STRANGE_HANDLES = (
    "", "0", "no-such-handle", str(uuid.UUID(int=1, version=4)), "../../etc/passwd", "/etc/passwd", "a\0b", "a\nb",
    "%s%n", "'; drop table workspace; --", "$(touch /tmp/x)", "*", "x" * 10_000, "\ud800", "{}", "null",
)  # fmt: skip


class ComputeWorld(ABC):
    """A place with one adapter in it, as an author's tests set it up for each test."""

    backend: ComputeBackend
    account: Account
    patience_s: float = 30.0
    """How long a workspace of the place may take to run."""

    @abstractmethod
    def spec(self) -> StartSpec:
        """A fresh workspace that serves HTTP with less than 500 on its endpoint until it is stopped.

        Its `headers` contain `{secret}`.
        """

    @abstractmethod
    def doomed(self) -> StartSpec:
        """A fresh workspace whose program cannot be started, or ends at once with a fault."""

    @abstractmethod
    def task(self, code: int | None) -> StartSpec:
        """A fresh task whose program ends at once with this code; with None it goes on until it is stopped.

        Its results go below a writable mount.
        """

    @abstractmethod
    def results(self, spec: StartSpec) -> Mapping[str, str]:
        """The text of each file among a task's results, read without the adapter."""

    @abstractmethod
    def reopened(self) -> ComputeBackend:
        """Another adapter with the same settings and state: the agent after a restart."""

    @abstractmethod
    def stranger(self) -> ComputeBackend:
        """The adapter of another agent in the same place."""

    @abstractmethod
    def running(self, workspace_id: str) -> int:
        """How many workspaces of this id run, seen without the adapter."""

    @abstractmethod
    def blinded(self, workspace_id: str) -> AbstractAsyncContextManager[None]:
        """While it holds, the adapter cannot find out about this workspace; the workspace goes on."""


class ComputeContract:
    """The guarantees of the port."""

    async def start(self, world: ComputeWorld, spec: StartSpec | None = None) -> tuple[StartSpec, str]:
        """A workspace that runs."""
        spec = spec or world.spec()
        handle = await world.backend.start(spec, world.account)

        async def runs() -> bool:
            seen = await self.look(world.backend, handle)
            assert seen.state is not RunState.GONE, f"it will not run: {seen}"
            return seen.state is RunState.RUNNING

        await eventually(runs, "it runs", world.patience_s)
        return spec, handle

    async def look(self, backend: ComputeBackend, handle: str) -> Observation:
        """One observation."""
        return (await backend.inspect([handle]))[handle]

    async def is_(self, backend: ComputeBackend, handle: str, state: RunState) -> bool:
        """Whether it is seen in this state."""
        return (await self.look(backend, handle)).state is state

    async def test_what_was_started_runs_and_answers_those_who_have_its_secret(self, world: ComputeWorld) -> None:
        spec, handle = await self.start(world)
        endpoint = await world.backend.endpoint(handle)
        assert endpoint is not None
        if endpoint.socket is not None:
            assert endpoint.socket.is_absolute()
            assert stat.S_ISSOCK(endpoint.socket.stat().st_mode)
        else:
            assert endpoint.address is not None
            assert 1024 <= endpoint.address[1] < 65536
            assert await status(replace(endpoint, headers=())) == 403, "others on that network are kept out"
        assert any(spec.secret in value for _, value in endpoint.headers), "the proxy is let in by the secret"
        assert all("{" not in value for _, value in endpoint.headers), "placeholders are filled in"
        assert await status(endpoint) < 400
        assert world.running(spec.workspace_id) == 1

    async def test_starting_twice_makes_one(self, world: ComputeWorld) -> None:
        spec, handle = await self.start(world)
        assert await world.backend.start(spec, world.account) == handle
        assert await world.reopened().start(spec, world.account) == handle
        assert world.running(spec.workspace_id) == 1

    async def test_starting_five_times_at_once_makes_one(self, world: ComputeWorld) -> None:
        spec = world.spec()
        handles = await asyncio.gather(*(world.backend.start(spec, world.account) for _ in range(5)))
        assert len(set(handles)) == 1
        await self.start(world, spec)
        assert world.running(spec.workspace_id) == 1

    async def test_what_has_ended_never_runs_again(self, world: ComputeWorld) -> None:
        spec, handle = await self.start(world)
        await world.backend.stop(handle)
        with suppress(ParasolError):
            assert await world.backend.start(spec, world.account) == handle
        assert await self.is_(world.backend, handle, RunState.GONE)
        assert world.running(spec.workspace_id) == 0

    async def test_a_start_that_is_cancelled_leaves_at_most_one_that_can_be_found(
        self, world: ComputeWorld
    ) -> None:
        spec = world.spec()
        task = asyncio.create_task(world.backend.start(spec, world.account))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        _, handle = await self.start(world, spec)
        assert world.running(spec.workspace_id) == 1
        assert (await world.backend.list_owned())[spec.workspace_id] == handle

    async def test_a_handle_survives_as_text(self, world: ComputeWorld) -> None:
        spec, handle = await self.start(world)
        kept = json.loads(json.dumps(handle))
        assert (type(kept), kept) == (str, handle)
        after = world.reopened()
        await eventually(lambda: self.is_(after, kept, RunState.RUNNING), "it is found again", world.patience_s)
        assert await after.list_owned() == {spec.workspace_id: handle}
        assert await after.endpoint(kept) == await world.backend.endpoint(handle)
        await after.stop(kept)
        assert world.running(spec.workspace_id) == 0

    @pytest.mark.parametrize("handle", STRANGE_HANDLES)
    async def test_an_unknown_handle_is_gone_and_no_error(self, world: ComputeWorld, handle: str) -> None:
        assert await self.is_(world.backend, handle, RunState.GONE)
        await world.backend.stop(handle)
        assert await world.backend.endpoint(handle) is None
        assert await world.backend.logs(handle) == ""

    async def test_each_handle_is_in_the_answer(self, world: ComputeWorld) -> None:
        _, handle = await self.start(world)
        seen = await world.backend.inspect([handle, "no-such-handle", handle])
        assert {h: o.state for h, o in seen.items()} == {
            handle: RunState.RUNNING,
            "no-such-handle": RunState.GONE,
        }
        assert await world.backend.inspect([]) == {}

    async def test_stopping_is_idempotent_and_certain(self, world: ComputeWorld) -> None:
        spec, handle = await self.start(world)
        await asyncio.gather(*(world.backend.stop(handle) for _ in range(3)))
        assert world.running(spec.workspace_id) == 0, "stop returns when nothing of it runs any more"
        seen = await self.look(world.backend, handle)
        assert (seen.state, seen.reason) == (RunState.GONE, ""), "an end that was asked for is no failure"
        assert seen.exit_code is not None, "it is known how it ended, so one look is enough"
        assert await world.backend.endpoint(handle) is None
        assert await world.backend.list_owned() == {}
        await world.backend.stop(handle)

    async def test_stopping_during_the_start_leaves_nothing(self, world: ComputeWorld) -> None:
        spec = world.spec()
        handle = await world.backend.start(spec, world.account)
        await world.backend.stop(handle)
        assert await self.is_(world.backend, handle, RunState.GONE)
        assert world.running(spec.workspace_id) == 0
        assert await world.backend.list_owned() == {}

    async def test_only_our_own_are_listed_and_touched(self, world: ComputeWorld) -> None:
        theirs, other = world.spec(), world.stranger()
        handle = await other.start(theirs, world.account)
        await eventually(
            lambda: self.is_(other, handle, RunState.RUNNING), "the other agent's runs", world.patience_s
        )
        mine, _ = await self.start(world)
        assert set(await world.backend.list_owned()) == {mine.workspace_id}
        assert await self.is_(world.backend, handle, RunState.GONE)
        assert await world.backend.endpoint(handle) is None
        await world.backend.stop(handle)
        assert world.running(theirs.workspace_id) == 1
        await other.stop(handle)

    async def test_a_program_that_fails_is_gone_with_a_reason(self, world: ComputeWorld) -> None:
        spec = world.doomed()
        try:
            handle = await world.backend.start(spec, world.account)
        except ParasolError as error:
            said, reason = error.message, error.reason
        else:
            await eventually(
                lambda: self.is_(world.backend, handle, RunState.GONE), "it has ended", world.patience_s
            )
            seen = await self.look(world.backend, handle)
            said, reason = seen.message, seen.reason
        assert reason
        assert said.endswith("."), "a sentence for the person"
        assert spec.secret not in said
        assert "/" not in said, "no path leaves the facility"
        assert world.running(spec.workspace_id) == 0

    async def test_not_knowing_is_not_an_end(self, world: ComputeWorld) -> None:
        spec, handle = await self.start(world)
        async with world.blinded(spec.workspace_id):
            assert not await self.is_(world.backend, handle, RunState.GONE)
            try:
                assert spec.workspace_id in await world.backend.list_owned()
            except ParasolError as error:
                assert error.retryable
            with suppress(ParasolError):
                assert await world.backend.start(spec, world.account) == handle
            assert world.running(spec.workspace_id) == 1
        await eventually(
            lambda: self.is_(world.backend, handle, RunState.RUNNING), "it is seen again", world.patience_s
        )
        assert world.running(spec.workspace_id) == 1

    async def test_a_task_runs_without_an_endpoint_until_it_is_stopped(self, world: ComputeWorld) -> None:
        spec, handle = await self.start(world, world.task(None))
        assert await world.backend.endpoint(handle) is None
        assert await self.is_(world.reopened(), handle, RunState.RUNNING)
        assert world.running(spec.workspace_id) == 1
        await world.backend.stop(handle)
        assert world.running(spec.workspace_id) == 0

    @pytest.mark.parametrize("code", [0, 3])
    async def test_a_task_ends_by_itself_with_its_code(self, world: ComputeWorld, code: int) -> None:
        spec = world.task(code)
        handle = await world.backend.start(spec, world.account)
        await eventually(lambda: self.is_(world.backend, handle, RunState.GONE), "it has ended", world.patience_s)
        seen = await self.look(world.backend, handle)
        assert (seen.exit_code, seen.reason) == (code, "EXITED" if code else "")
        assert await world.backend.start(spec, world.account) == handle
        assert await self.is_(world.backend, handle, RunState.GONE), "never twice"
        assert spec.task is not None
        found = world.results(spec)
        assert json.loads(found["task.json"]) == json.loads(spec.task.facts)
        assert "log.txt" in found

    @pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "A" * 36, "x\0y", "{secret}"])
    async def test_a_bad_id_starts_nothing(self, world: ComputeWorld, name: str) -> None:
        with pytest.raises(InvalidRequest):
            await world.backend.start(replace(world.spec(), workspace_id=name), world.account)
        assert await world.backend.list_owned() == {}

    async def test_the_secret_is_told_to_nobody(self, world: ComputeWorld) -> None:
        spec, handle = await self.start(world)
        assert spec.secret not in handle
        assert spec.secret not in repr(await self.look(world.backend, handle))
        assert spec.secret not in repr(await world.backend.list_owned())
        endpoint = await world.backend.endpoint(handle)
        assert endpoint is not None
        assert spec.secret not in str((endpoint.socket, endpoint.address))

    async def test_the_operators_view_is_bounded_text(self, world: ComputeWorld) -> None:
        _, handle = await self.start(world)
        assert len((await world.backend.logs(handle)).encode()) <= 64 * 1024

    async def test_capacity_is_never_negative(self, world: ComputeWorld) -> None:
        free = await world.backend.capacity()
        for some, whole in ((free.cpus_free, free.cpus_total), (free.memory_free, free.memory_total)):
            assert some is None or some >= 0
            assert whole is None or whole >= (some or 0)


async def status(endpoint: Endpoint) -> int:
    """What a request with the proxy's headers is answered."""
    if endpoint.address is not None:
        reader, writer = await asyncio.open_connection(*endpoint.address)
    else:
        reader, writer = await asyncio.open_unix_connection(endpoint.socket)
    try:
        extra = "".join(f"{name}: {value}\r\n" for name, value in endpoint.headers)
        writer.write(f"GET / HTTP/1.1\r\nHost: workspace\r\n{extra}Connection: close\r\n\r\n".encode())
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
