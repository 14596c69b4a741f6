"""`python -m tests.benchmarks [graphql data launch gateway link egress kubernetes]`: run them, print the table, keep it as JSON."""

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
    print(f"kept in {save(figures, folder)}")


if __name__ == "__main__":
    main()
