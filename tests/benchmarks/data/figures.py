"""The figures of the data, each beside its floor."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import h5py

from facility_agent.adapters.catalogue.nexus_index import Index
from facility_agent.adapters.catalogue.nexus_reader import Reader
from shared.catalogue import SearchQuery
from tests.benchmarks.data.world import DATASETS, PROPOSALS, index_of
from tests.benchmarks.federation import HOST, ROOT, centre, slug_of
from tests.benchmarks.load import drive, request
from tests.benchmarks.measure import Figure, cpu_of, median, percentile

FACILITIES, ROUNDS, EACH = 10, 5, 20
FILES = 10_000
QUESTIONS = {"newest": "", "a word of one in ten": "quartz"}


def run() -> list[Figure]:
    """All of them."""
    return [*_live(), *_mirror(), _index()]


def _live() -> list[Figure]:
    """A page of 50 from ten facilities, beside the same questions asked of the ten indexes by one process alone."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="pb-") as name:
        folder = Path(name)
        indexes = [index_of(folder, slug_of(number)) for number in range(FACILITIES)]
        with centre(folder, FACILITIES, "tests.benchmarks.data.world") as (port, pid, agents):
            for words, text in QUESTIONS.items():
                figures += _search(words, text, port, (pid, agents), indexes)
    return figures


def _search(words: str, text: str, port: int, pids: tuple[int, int], indexes: list[Index]) -> list[Figure]:
    asked = (
        f"{{search(query:{{text:{json.dumps(text)}}}, first: 50){{nodes{{id title}} outcomes{{outcome count}}}}}}"
    )
    body = json.dumps({"query": asked}).encode()
    payload = request("POST", "/graphql", f"{HOST}:{port}", body, (("Content-Type", "application/json"),))
    query = SearchQuery(text=text)
    ours, cpu, slowest, all_cpu = [], [], [], []
    for turn in range(ROUNDS + 1):
        before = sum(map(cpu_of, pids))
        load = asyncio.run(drive(port, payload, EACH, 1))
        assert load.bad == 0, f"{load.bad} of {EACH} answers were not 200"
        spent = sum(map(cpu_of, pids)) - before
        bare = [_direct(indexes, query) for _ in range(EACH)]
        if turn:  # the first round warms
            ours += load.latencies
            cpu.append(1000 * spent / EACH)
            slowest += [took for took, _ in bare]
            all_cpu += [1000 * used for _, used in bare]
    name = f"live search, {FACILITIES} x {DATASETS:,} datasets, {words}"
    value, base = 1000 * percentile(ours, 0.5), 1000 * percentile(slowest, 0.5)
    note = f"CPU of centre and agents {median(cpu):.1f} ms, of the bare questions {median(all_cpu):.1f} ms"
    against = "the slowest of 10 bare questions"
    return [Figure(name, value, base, "ms", against, "<= 1.5x", value <= 1.5 * base, note)]


def _direct(indexes: list[Index], query: SearchQuery) -> tuple[float, float]:
    """(seconds of the slowest, seconds of CPU of all)."""
    took, cpu = [], time.process_time()
    for index in indexes:
        begun = time.perf_counter()
        assert len(index.search(query, frozenset(), PROPOSALS).datasets) == query.limit
        took.append(time.perf_counter() - begun)
    return max(took), time.process_time() - cpu


def _mirror() -> list[Figure]:
    """The mirror's search in the centre's process, beside the SQL of the same page alone."""
    with tempfile.TemporaryDirectory(prefix="pb-") as name:
        variables = {
            **os.environ, "PARASOL_DATA": name, "PARASOL_FEDERATION": f"{name}/federation.toml",
            "PARASOL_HUB_PLAINTEXT": "1", "DJANGO_SETTINGS_MODULE": "central_portal.settings",
        }  # fmt: skip
        (Path(name) / "federation.toml").write_text("facilities = []\n")
        command = [sys.executable, "-m", "tests.benchmarks.data.mirror"]
        said = subprocess.run(command, env=variables, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    figures = []
    for words, (ours, bare) in json.loads(said.splitlines()[-1]).items():
        name = f"mirror search, {DATASETS:,} datasets, {words}"
        figures.append(Figure(name, ours, bare, "ms", "its SQL alone", "-", None))
    return figures


def _index() -> Figure:
    """How fast files are read for the first time, beside h5py in a loop over the same folder."""
    with tempfile.TemporaryDirectory(prefix="pb-") as name:
        root = Path(name) / "data"
        for number in range(FILES):
            _write(root / f"P{number % 50}" / f"scan{number}.nxs", number)
        begun = time.perf_counter()
        read = sum(_walked(file) for file in sorted(root.rglob("*.nxs")))
        bare = FILES / (time.perf_counter() - begun)
        assert read == FILES
        reader = Reader()
        try:
            index = Index(Path(name) / "index.sqlite3", root, "f")
            begun = time.perf_counter()
            count, _ = index.update(reader)
            rate = FILES / (time.perf_counter() - begun)
        finally:
            reader.close()
        assert count == FILES
        with closing(sqlite3.connect(Path(name) / "index.sqlite3")) as db:
            assert db.execute("select count(*) from file where problem is null").fetchone()[0] == FILES
    return Figure(
        "files read into an index", rate, bare, "/s", "h5py in a loop", "-", None, f"{FILES:,} small files"
    )


def _write(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        entry["title"], entry["definition"], entry["start_time"] = (
            f"Scan {number}",
            "NXsas",
            "2024-05-01T10:00:00Z",
        )
        sample = entry.create_group("sample")
        sample.attrs["NX_class"] = "NXsample"
        sample["name"] = "quartz"


def _walked(path: Path) -> bool:
    with h5py.File(path) as file:
        entry = file["entry"]
        said = [entry[name][()] for name in ("title", "definition", "start_time")] + [entry["sample/name"][()]]
    return all(said)
