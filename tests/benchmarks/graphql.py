"""The facilities query and the live search of a real centre, beside a bare ASGI application with the same bytes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.benchmarks.echo import floor
from tests.benchmarks.federation import HOST, ROOT, centre, page_of, signed_in, slug_of
from tests.benchmarks.load import Load, drive, request
from tests.benchmarks.measure import Figure, cpu_of, median, percentile
from tests.waiting import free_port, http_status, until

FACILITIES = "{facilities{nodes{id slug name place country description website dataPortal state agentVersion capabilities{id kind title}}}}"
SEARCH = "{search(query:{}, first: 50){nodes{id title proposal startedAt facility{slug}} outcomes{outcome count}}}"
ROUNDS = 3
AGENTS = 10


def bare_application(body: bytes) -> Callable[..., object]:
    """Answers every request with the same parsed-and-serialised bytes, as a floor that does what any server must."""
    import orjson

    data = orjson.loads(body)

    async def app(
        scope: dict[str, object], receive: Callable[[], object], send: Callable[[object], object]
    ) -> None:
        await receive()  # type: ignore[misc]
        answer = orjson.dumps(data)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[misc]
        await send({"type": "http.response.body", "body": answer})  # type: ignore[misc]

    return app


@contextmanager
def bare(body: bytes, folder: Path) -> Iterator[tuple[int, int]]:
    """(port, pid) of the floor."""
    port = free_port()
    (folder / "answer.json").write_bytes(body)
    process = subprocess.Popen([sys.executable, "-m", __name__, str(folder / "answer.json"), str(port)], cwd=ROOT)
    try:
        until(lambda: http_status(port, "/", "x") == 200, "the bare application")
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(10)


def per_cpu_second(port: int, pid: int, payload: bytes, count: int) -> tuple[float, Load]:
    """Requests per CPU-second of the server, and what came back."""
    before = cpu_of(pid)
    load = asyncio.run(drive(port, payload, count, 16))
    assert load.bad == 0, f"{load.bad} of {count} answers were not 200"
    return count / max(0.01, cpu_of(pid) - before), load


def run() -> list[Figure]:
    """Fresh and kept facilities query; live search over ten agents."""
    with tempfile.TemporaryDirectory(prefix="pb-") as name:
        folder = Path(name)
        with centre(folder, 20) as (port, pid, _):
            figures = _facilities(port, pid, folder)
    with tempfile.TemporaryDirectory(prefix="pb-") as name, centre(Path(name), AGENTS) as (port, pid, agents):
        figures += _search(port, pid, agents, signed_in(Path(name), port, AGENTS))
    return figures


def _post(port: int, query: str, **headers: str) -> bytes:
    body = json.dumps({"query": query}).encode()
    pairs = (("Content-Type", "application/json"), *headers.items())
    return request("POST", "/graphql", f"{HOST}:{port}", body, pairs)


def _facilities(port: int, pid: int, folder: Path) -> list[Figure]:
    answer = requests.post(
        f"http://127.0.0.1:{port}/graphql",
        json={"query": FACILITIES},
        headers={"Host": f"{HOST}:{port}"},
        timeout=10,
    )
    assert len(answer.json()["data"]["facilities"]["nodes"]) == 20
    # A cookie that opens nothing: the answer is the anonymous one, but it is made afresh each time.
    fresh_request = _post(port, FACILITIES, Cookie="x=1", Origin=f"http://{HOST}:{port}")
    fresh, kept, floor = [], [], []
    with bare(answer.content, folder) as (floor_port, floor_pid):
        for _ in range(ROUNDS):
            fresh.append(per_cpu_second(port, pid, fresh_request, 1500)[0])
            kept.append(per_cpu_second(port, pid, _post(port, FACILITIES), 8000)[0])
            floor.append(per_cpu_second(floor_port, floor_pid, _post(floor_port, FACILITIES), 12000)[0])
    against = "bare ASGI application, same bytes"
    return [
        _share("facilities query, answered afresh", fresh, floor, 0.07, against),
        _share("facilities query, kept until an event", kept, floor, 0.40, against),
    ]


def check_live(port: int, query: str, person: tuple[tuple[str, str], ...], facilities: int) -> None:
    """What is measured is the live search: a whole page, and every facility has answered."""
    headers = {"Host": f"{HOST}:{port}", **dict(person)}
    answer = requests.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}, headers=headers, timeout=20)
    found = answer.json()["data"]["search"]
    assert len(found["nodes"]) == 50, found["outcomes"]
    assert [each["outcome"] for each in found["outcomes"]] == ["OK"] * facilities, found["outcomes"]


def _share(name: str, values: list[float], floor: list[float], goal: float, against: str) -> Figure:
    value, bottom = median(values), median(floor)
    return Figure(
        name, value, bottom, "req/CPU-s", against, f">= {goal:.0%}", value / bottom >= goal, samples=tuple(values)
    )


def _search(port: int, pid: int, agents: int, person: tuple[tuple[str, str], ...]) -> list[Figure]:
    """CPU under load, and the latency of one search at a time, in turns with the floor."""
    payload = _post(port, SEARCH, **dict(person))
    check_live(port, SEARCH, person, AGENTS)
    per_cpu_second(port, pid, payload, 200)
    cpu, p50, p99, floor_p50, floor_cpu, theirs = [], [], [], [], [], []
    with floor(AGENTS, len(page_of(slug_of(0)))) as echo:
        echo.measure(200, 1)
        for _ in range(2 * ROUNDS):
            before = cpu_of(agents)
            cpu.append(1000 / per_cpu_second(port, pid, payload, 400)[0])
            theirs.append(1000 * (cpu_of(agents) - before) / 400)
            alone = asyncio.run(drive(port, payload, 200, 1)).latencies
            p50.append(1000 * percentile(alone, 0.5))
            p99.append(1000 * percentile(alone, 0.99))
            floor_p50.append(echo.measure(400, 1)[0])
            floor_cpu.append(echo.measure(400, 16)[1])
    name = f"live search over {AGENTS} agents, page of 50"
    value, bottom = median(p50), median(floor_p50)
    note = f"p99 {median(p99):.1f} ms; the agents, all in one process, use {median(theirs):.1f} ms CPU a request"
    spent = median(cpu)
    return [
        Figure(
            f"{name}: p50", value, bottom, "ms", f"gRPC echo to {AGENTS}, same bytes", "<= 2x", value <= 2 * bottom,
            note, tuple(p50),
        ),
        Figure(
            f"{name}: CPU at the centre", spent, median(floor_cpu), "ms", f"gRPC echo to {AGENTS}, same bytes",
            "<= 3 ms", spent <= 3.0, samples=tuple(cpu),
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    import uvicorn

    application = bare_application(Path(sys.argv[1]).read_bytes())
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=int(sys.argv[2]),
        http="httptools",
        loop="uvloop",
        log_level="error",
        lifespan="off",
    )  # type: ignore[arg-type]
    os._exit(0)
