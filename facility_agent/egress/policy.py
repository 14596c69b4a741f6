"""The site's policy: fields of the catalogue that stay here though the allow-list would let them leave.

A TOML file with a table per kind of record, and a line per field of it:

    [dataset]
    sample = "open"      # leaves only with a dataset that anyone may read
    title = "never"

It holds wherever a record of that kind occurs: searches, pages, lists, and the open metadata that the centre mirrors.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.wire.sieve import When, knows_openness, places

Narrowed = Mapping[str, Mapping[str, When]]


def read_policy(path: Path) -> Narrowed:
    """Word → path → when it leaves. Raises ValueError with one sentence, OSError."""
    return narrowed(tomllib.loads(path.read_text()))


def narrowed(tables: Mapping[str, Any]) -> Narrowed:
    """What the tables of a policy say. Raises ValueError: what is not understood is never passed over."""
    found: dict[str, dict[str, When]] = defaultdict(dict)
    for kind, fields in tables.items():
        if not isinstance(fields, dict):
            raise ValueError(f"{kind}: must be a table")  # noqa: TRY004 (the file's mistake)
        for field, said in fields.items():
            when, where = _when(kind, field, said), places(kind, field)
            if not where:
                raise ValueError(f"{kind}.{field}: no such field leaves this facility")
            for word, path in where:
                if when is When.OPEN and not knows_openness(word, path):
                    raise ValueError(f'{kind}.{field}: it does not say whether it is open; only "never" works')
                found[word][path] = when
    return dict(found)


def _when(kind: str, field: str, said: Any) -> When:
    try:
        return When(said)
    except ValueError:
        raise ValueError(f'{kind}.{field}: must be "never" or "open"') from None
