"""Writes `shared/panet.tsv` from PaNET's source: `python -m deploy.setup.techniques PaNET.csv`.

The source is `source/PaNET.csv` of ExPaNDS-eu/ExPaNDS-experimental-techniques-ontology, a ROBOT template:
columns `SC %` give parents, by label or CURIE; columns `EC %` say together what a class is equivalent to
(their intersection), and for most techniques that is all that says where they stand. So the hierarchy
is what follows from both, by the completion rules of the description logic EL (Baader, Brandt, Lutz 2005):
a class is narrower than each part of its definition and than each class whose whole definition it fulfils,
`p some A` is narrower than `p some B` when A is narrower than B, and than
`p some` the range of p, and than the domain of p.
"""

from __future__ import annotations

import csv
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

TARGET = Path(__file__).resolve().parents[2] / "shared" / "panet.tsv"
PURL = "http://purl.org/pan-science/PaNET/"
HEAD = """\
# PaNET v1.3.0 (2025-10-21), the photon and neutron experimental techniques ontology, by the ExPaNDS and PaNOSC
# projects: https://github.com/ExPaNDS-eu/ExPaNDS-experimental-techniques-ontology, licence CC-BY 4.0
# (https://creativecommons.org/licenses/by/4.0/). Changed: reduced to ids, labels, alternative labels (|) and
# the nearest broader terms that follow from parents and equivalences. Made by deploy/setup/techniques.py.
# id<TAB>label<TAB>alternative labels<TAB>broader
"""

Part = str | tuple[str, str]
"""A class, or (property, class) for `property some class`."""


@dataclass
class Term:
    """One class of the source; `definition` is empty when it has none."""

    label: str
    others: tuple[str, ...]
    parents: set[Part] = field(default_factory=set)
    definition: frozenset[Part] = frozenset()


def read(source: Path) -> dict[str, Term]:
    """Every class of the source by its bare id. Raises ValueError for a name or an expression that it does not know."""
    with source.open(encoding="utf-8-sig", newline="") as lines:
        rows = [row for row in list(csv.reader(lines))[2:] if row[1].startswith(PURL)]
    properties = {row[2]: (row[22], row[23]) for row in rows if row[7] == "owl:ObjectProperty"}
    rows = [row for row in rows if row[7] != "owl:ObjectProperty"]
    ids = {
        row[2].strip(): row[1].removeprefix(PURL).strip() for row in rows
    }  # the last of a name wins, as in ROBOT
    ids |= {f"PaNET:{name}": name for name in (row[1].removeprefix(PURL).strip() for row in rows)}
    terms: dict[str, Term] = {}
    for row in rows:  # one class may have several rows
        name = row[1].removeprefix(PURL).strip()
        term = terms.setdefault(
            name, Term(row[2].strip(), tuple(text.strip() for text in row[3:5] if text.strip()))
        )
        parents = [cell.strip() for cell in row[8:15] if cell.strip() and cell.strip() != "owl:Thing"]
        equal = [cell.strip() for cell in row[15:18] if cell.strip() and not cell.startswith("http")]
        term.definition |= {part for cell in equal for part in _parts(cell, ids)}
        term.parents |= {_named(cell, ids) for cell in parents}
        for used in {part[0] for part in term.definition if isinstance(part, tuple)}:
            domain, reach = properties.get(used, ("owl:Thing", "owl:Thing"))
            term.parents |= {_named(domain, ids)} if domain != "owl:Thing" else set()
            term.parents |= {(used, _named(reach, ids))} if reach != "owl:Thing" else set()
    return terms


def _parts(cell: str, ids: dict[str, str]) -> list[Part]:
    if cell in ids:
        return [ids[cell]]
    if some := re.fullmatch(r"\('([^']+)' some ('[^']+'|PaNET:\w+)\)", cell):
        return [(some[1], _named(some[2], ids))]
    inner = cell[1:-1] if cell.startswith("(") else cell
    return [_named(name.strip(), ids) for name in inner.split(" and ")]


def _named(name: str, ids: dict[str, str]) -> str:
    if (found := ids.get(name.strip("'"))) is None:
        raise ValueError(f"{name} is no class of this file.")
    return found


def broader(terms: dict[str, Term]) -> dict[str, set[str]]:
    """Every term with all terms it is narrower than, itself included."""
    above: dict[str, set[Part]] = {name: {name} for name in terms}
    wanted = {part for term in terms.values() for part in term.definition if isinstance(part, tuple)}
    changed = True
    while changed:
        changed = False
        for found in above.values():
            before = len(found)
            for part in tuple(found):
                if isinstance(part, str):
                    found |= terms[part].parents | terms[part].definition
                else:
                    wider: set[Part] = {(part[0], up) for up in above[part[1]] if isinstance(up, str)}
                    found |= wider & wanted
            found |= {name for name, term in terms.items() if term.definition and term.definition <= found}
            changed = changed or len(found) > before
    return {name: {part for part in found if isinstance(part, str)} for name, found in above.items()}


def nearest(above: dict[str, set[str]]) -> dict[str, list[str]]:
    """The nearest broader terms only: those that no other broader term is narrower than."""
    result = {}
    for name, found in above.items():
        proper = {up for up in found if up != name and name not in above[up]}
        equal = {up for up in found if up != name and name in above[up]}
        near = {up for up in proper if not any(up in above[other] and other not in above[up] for other in proper)}
        result[name] = sorted(near | equal)
    return result


def main(source: Path) -> None:
    """Write the file."""
    terms = read(source)
    up = nearest(broader(terms))
    lines = [
        f"{name}\t{t.label}\t{'|'.join(t.others)}\t{' '.join(up[name])}\n" for name, t in sorted(terms.items())
    ]
    TARGET.write_text(HEAD + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
