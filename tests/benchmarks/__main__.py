"""`python -m tests.benchmarks [graphql data launch gateway link egress slurm kubernetes]`: run them, print the table, keep it as JSON.

`slurm` and `kubernetes` need root, and the others must not have it: each of them runs by itself.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

from shared import resolver
from tests.benchmarks.measure import Figure, save, table

ALL = ("graphql", "data", "launch", "gateway", "link", "egress")


def main() -> None:
    """Entry point."""
    resolver.install()
    chosen = sys.argv[1:] or list(ALL)
    figures: list[Figure] = []
    for name in chosen:
        print(f"measuring {name} …", flush=True)
        figures += import_module(f"tests.benchmarks.{name}").run()
    print(table(figures))
    root = Path(__file__).resolve().parents[2]
    folder = root / "artefacts" if os.access(root, os.W_OK) else Path.home() / "parasol-artefacts"
    name = "bench" if set(chosen) & set(ALL) else f"bench-{'-'.join(chosen)}"
    print(f"kept in {save(figures, folder, name)}")


if __name__ == "__main__":
    main()
