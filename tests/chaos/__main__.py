"""`python -m tests.chaos [F13 F17 …] [--times 8] [--embedded]`: every fault in a world under load; the table, and JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path

from shared import resolver
from tests.chaos import agent_faults, centre_faults, network_faults, poison
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.trials import Trial, all_of, counts, table
from tests.chaos.world import running_world
from tests.components import ROOT, missing

PARTS = (agent_faults, network_faults, centre_faults, poison)
LEAST = 8


def chosen(ids: list[str]) -> list[Fault]:
    """The faults of these ids, all by default, without those that this machine lacks something for."""
    faults = []
    for fault in FAULTS:
        lacking = [what for what in map(missing, fault.needs) if what]
        if lacking:
            print(f"{fault.id} {fault.name}: NOT TRIED, for want of {'; '.join(lacking)}")
        elif not ids or fault.id in ids:
            faults.append(fault)
    return faults


def repeated(faults: list[Fault], times: int) -> list[Fault]:
    """Each id at least `times` times, its variants in turn."""
    variants = Counter(fault.id for fault in faults)
    return [fault for fault in faults for _ in range(-(-times // variants[fault.id]))]


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("ids", nargs="*")
    parser.add_argument("--times", type=int, default=LEAST)
    arguments = parser.parse_args()
    resolver.install()
    begun = time.monotonic()
    say = lambda text: print(f"{time.monotonic() - begun:6.0f} s  {text}", flush=True)  # noqa: E731
    faults = repeated(chosen(arguments.ids), arguments.times)
    with running_world() as world:
        say(f"the world stands: {len(world.sites)} facilities, {len(faults)} trials to come")
        trials = all_of(world, faults, 1, say)
        errors = Counter(e.split(":")[0] for load in world.loads.values() for e in load.errors)
    print(table(trials))
    total = sum(t.verdict.orders for t in trials)
    bad = [t for t in trials if not t.good]
    say(f"{len(trials)} trials, {total} orders, {len(bad)} bad; requests that nobody answered: {dict(errors)}")
    say(f"kept in {keep(trials)}")
    return 1 if bad else 0


def keep(trials: list[Trial]) -> Path:
    """Write everything as JSON; the file."""
    folder = ROOT / "artefacts" if os.access(ROOT, os.W_OK) else Path.home() / "parasol-artefacts"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "chaos.json"
    shown = [
        {"id": t.fault.id, "name": t.fault.name, "took": t.took, "noticed": t.noticed, "failed": t.failed}
        | vars(t.verdict)
        for t in trials
    ]
    file.write_text(json.dumps({"counts": counts(trials), "trials": shown}, indent=1))
    return file


if __name__ == "__main__":
    sys.exit(main())
