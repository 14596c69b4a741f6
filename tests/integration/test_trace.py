"""One trace from the browser's request to the facility's log: its id stands in the lines of both sides."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import trace
from tests.agent_parts import workspace
from tests.integration.openid import Op
from tests.integration.tab import Tab, granted
from tests.integration.whole_centre import Centre, Facility
from tests.link_parts import SmallCore
from tests.link_scene import open_scene

UNLINK = 'mutation{unlinkAccount(input: {facility: "Facility:alpha"}){problem{code}}}'


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What both sides log in this process, as they format it."""
    caplog.set_level(logging.DEBUG, "facility_agent")
    before, seen = caplog.handler.formatter, trace.TraceInLogs()
    caplog.handler.addFilter(seen)
    caplog.handler.setFormatter(logging.Formatter("%(name)s [%(trace)s] %(message)s"))
    yield caplog
    caplog.handler.removeFilter(seen)
    caplog.handler.setFormatter(before)


def arrived(lines: pytest.LogCaptureFixture) -> list[str]:
    """The traces of what came to the facility."""
    return [str(vars(record)["trace"]) for record in lines.records if "arrived" in record.message]


async def test_each_command_keeps_its_own_trace(tmp_path: Path, lines: pytest.LogCaptureFixture) -> None:
    async with open_scene(tmp_path) as scene:
        await scene.agent(SmallCore())
        traces = []
        for _ in range(2):
            traces.append(trace.enter()[3:35])
            await scene.ask()
        ordered = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
        scene.events.queue.add(workspace(1), traceparent=ordered)
        scene.hub.links.deliver("alpha")
        await scene.events.until("settled")
        scene.events.queue.add(workspace(2), traceparent="no trace at all\nforged line")
        scene.hub.links.deliver("alpha")
        await scene.events.until("settled", 2)
    *known, fresh = arrived(lines)
    assert known == [*traces, ordered[3:35]]
    assert fresh not in known
    assert len(fresh) == 32, "without a good one it begins its own"
    assert "forged" not in lines.text


def test_the_browsers_trace_is_in_the_logs_of_centre_and_facility(
    op: Op, tab: Tab, centre: Centre, facility: Facility, lines: pytest.LogCaptureFixture
) -> None:
    granted(op, tab, facility)
    mine = secrets.token_hex(16)
    told = tab.graphql(UNLINK, traceparent=f"00-{mine}-{secrets.token_hex(8)}-01")["unlinkAccount"]
    assert told["problem"] == {"code": "UNSUPPORTED"}, "this facility takes no orders, and says so"
    assert mine in arrived(lines)
    (line,) = [line for line in centre.log.read_text().splitlines() if mine in line]
    assert "(accounts.unlink) for alpha" in line
