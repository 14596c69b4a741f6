"""`python -m tests.chaos [F13 F17 …] [--times 8]`: every fault in a world under load, then the measures; a table, and JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from shared import resolver
from tests.chaos import agent_faults, centre_faults, certificate_faults, network_faults, poison
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.measures import ALL, Shown
from tests.chaos.trials import Trial, all_of, counts, table
from tests.chaos.world import running_certificates, running_world
from tests.components import ROOT, missing

PARTS = (agent_faults, network_faults, centre_faults, poison, certificate_faults)
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
    parser.add_argument("--only-faults", action="store_true", help="without the measures")
    arguments = parser.parse_args()
    resolver.install()
    begun = time.monotonic()
    say = lambda text: print(f"{time.monotonic() - begun:6.0f} s  {text}", flush=True)  # noqa: E731
    faults = repeated(chosen(arguments.ids), arguments.times)
    trials: list[Trial] = []
    for enrolled in (False, True):
        todo = [fault for fault in faults if (fault.where == "certificates") is enrolled]
        if todo:
            with running_certificates() if enrolled else running_world() as world:
                say(f"the world stands: {len(world.sites)} facilities, {len(todo)} trials to come")
                trials += all_of(world, todo, 1, say)
                errors = Counter(e.split(":")[0] for load in world.loads.values() for e in load.errors)
            say(f"requests that nobody answered: {dict(errors)}")
    print(table(trials))
    total = sum(t.verdict.orders for t in trials)
    bad = [t for t in trials if not t.good]
    say(f"{len(trials)} trials, {total} orders, {len(bad)} bad")
    say(f"kept in {keep(trials)}")
    unmet = [] if arguments.ids or arguments.only_faults else measure(say)
    return 1 if bad or unmet else 0


def measure(say: Callable[[str], None]) -> list[Shown]:
    """What must be shown beside the counts; those whose goal is not met."""
    shown: list[Shown] = []
    for name, run in ALL.items():
        lacking = missing("nginx") if name != "herd" else None
        if lacking:
            say(f"{name}: NOT TRIED, for want of {lacking}")
            continue
        shown += run(say)
    for one in shown:
        print(f"{'yes' if one.met else 'NO':<4} {one.name}: {one.value} ({one.goal})")
    return [one for one in shown if not one.met]


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
