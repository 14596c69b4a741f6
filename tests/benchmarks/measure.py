"""CPU of a process tree, percentiles, and the table that `make bench` prints."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure beside its floor. `ratio` is figure/floor; `goal` says which ratio is wanted."""

    name: str
    value: float
    floor: float
    unit: str
    floor_name: str
    goal: str
    met: bool | None
    note: str = ""
    samples: tuple[float, ...] = field(default=(), repr=False)

    @property
    def ratio(self) -> float:
        """Figure over floor."""
        return self.value / self.floor if self.floor else float("nan")


def cpu_of(pid: int) -> float:
    """User and system seconds that the process and its living descendants have used."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0.0
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


@contextmanager
def on_one_cpu(*pids: int) -> Iterator[None]:
    """These processes with their descendants, and this one, on one CPU: a round trip then costs work, not wake-ups.

    On two idle CPUs the same echo takes 25 or 100 µs, as the scheduler happens to place its four processes.
    """
    family = [
        process for pid in pids for root in [psutil.Process(pid)] for process in (root, *root.children(True))
    ]
    threads = [thread.id for process in (psutil.Process(), *family) for thread in process.threads()]
    before = os.sched_getaffinity(0)
    try:
        for thread in threads:
            os.sched_setaffinity(thread, {max(before)})
        yield
    finally:
        for thread in threads:
            with suppress(ProcessLookupError):
                os.sched_setaffinity(thread, before)


def percentile(samples: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the samples lie, nearest rank."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(samples: Sequence[float]) -> float:
    """The median."""
    return statistics.median(samples)


def table(figures: Sequence[Figure]) -> str:
    """The figures as aligned text."""
    rows = [("figure", "value", "floor", "ratio", "goal", "met", "against")]
    for f in figures:
        met = {True: "yes", False: "NO", None: "-"}[f.met]
        rows.append(
            (
                f.name,
                f"{f.value:.4g} {f.unit}",
                f"{f.floor:.4g} {f.unit}",
                f"{f.ratio:.3g}",
                f.goal,
                met,
                f.floor_name,
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    notes = [f"  {f.name}: {f.note}" for f in figures if f.note]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def save(figures: Sequence[Figure], folder: Path, name: str = "bench") -> Path:
    """Write the figures as JSON; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    machine = {"cpus": os.cpu_count(), "load": os.getloadavg()}
    path.write_text(
        json.dumps({"machine": machine, "figures": [{**asdict(f), "ratio": f.ratio} for f in figures]}, indent=1)
    )
    return path
