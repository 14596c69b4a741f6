"""The allow-list: every field that may leave, one a line, committed beside this module.

`python -m facility_agent.egress.allow` writes it from the wire contract, `--check` compares. What is in the contract
and not in the file does not leave, so that widening what leaves shows as lines of a diff.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from shared.wire.sieve import schema

FILE = Path(__file__).with_name("allowed.txt")
_HEADER = "# What may leave a facility: word and path. Written by `python -m facility_agent.egress.allow`.\n"


def allowed() -> dict[str, frozenset[str]]:
    """The committed list: word → paths."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in FILE.read_text().splitlines():
        if not line.startswith("#"):
            word, _, path = line.partition(" ")
            found[word].add(path)
    return {word: frozenset(paths - {""}) for word, paths in found.items()}


def written() -> str:
    """The file as the contract would have it; a word without fields stands alone."""
    lines = [
        f"{word} {path}".rstrip() for word, paths in sorted(schema().items()) for path in sorted(paths) or [""]
    ]
    return _HEADER + "\n".join(lines) + "\n"


def main() -> int:
    """The exit status: 1 when the committed list is not the contract's."""
    if "--check" not in sys.argv[1:]:
        FILE.write_text(written())
        return 0
    if FILE.read_text() == written():
        return 0
    print(  # noqa: T201
        f"{FILE.name} is not what the contract allows: run `python -m facility_agent.egress.allow`, look at the diff."
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
