"""The site's policy: fields of the catalogue that stay here though the allow-list would let them leave.

A TOML file with a table per kind of record, and a line per field of it:

    [dataset]
    sample = "open"      # leaves only with a dataset that anyone may read
    title = "never"

It holds wherever a record of that kind occurs: searches, pages, lists, and the open metadata that the centre mirrors;
and for questions, which are answered as if the field were not there (`narrowing`).
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.wire.sieve import When, knows_openness, places

ORDERING = {
    ("dataset", "pid"), ("dataset", "started"), ("dataset", "is_open"), ("proposal", "pid"), ("proposal", "is_open"),
}  # fmt: skip
"""What names a record, decides its place in an answer, or says whether anyone may read it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When each narrowed field leaves: by word and path, as the sieve needs it, and by kind and field."""

    paths: Mapping[str, Mapping[str, When]] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, When]] = field(default_factory=dict)


def read_policy(path: Path) -> Policy:
    """The policy of a file. Raises ValueError with one sentence, OSError."""
    return narrowed(tomllib.loads(path.read_text()))


def narrowed(tables: Mapping[str, Any]) -> Policy:
    """What the tables of a policy say. Raises ValueError: what is not understood is never passed over."""
    paths: dict[str, dict[str, When]] = defaultdict(dict)
    found: dict[str, dict[str, When]] = {}
    for kind, fields in tables.items():
        if not isinstance(fields, dict):
            raise ValueError(f"{kind}: must be a table")  # noqa: TRY004 (the file's mistake)
        found[kind] = {name: _when(kind, name, said) for name, said in fields.items()}
        for name, when in found[kind].items():
            for word, path in _where(kind, name, when):
                paths[word][path] = when
    return Policy(dict(paths), found)


def _where(kind: str, name: str, when: When) -> list[tuple[str, str]]:
    where = places(kind, name)
    if not where:
        raise ValueError(f"{kind}.{name}: no such field leaves this facility")
    if (kind, name) in ORDERING:
        raise ValueError(f"{kind}.{name}: it cannot stay here, since answers are named or ordered by it")
    if when is When.OPEN and not all(knows_openness(word, path) for word, path in where):
        raise ValueError(f'{kind}.{name}: it does not say whether it is open; only "never" works')
    return where


def _when(kind: str, field: str, said: Any) -> When:
    try:
        return When(said)
    except ValueError:
        raise ValueError(f'{kind}.{field}: must be "never" or "open"') from None
