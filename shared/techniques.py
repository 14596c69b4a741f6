"""Techniques: the terms of PaNET v1.3.0, how they are spelled, and which are narrower than which.

A technique is written as its bare id (`PaNET01196`) wherever Parasol keeps or compares one. Catalogues spell
the same term as PURL (PaNOSC), CURIE (ICAT) or bare id (SciCat), and some use terms of other vocabularies
(`https://w3id.org/PaN/ESRFET#XAS`): those are kept as they are, have no title and nothing narrower.
PaNET is by the ExPaNDS and PaNOSC projects, CC-BY 4.0; `panet.tsv` beside this module names source and changes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.errors import InvalidRequest

PURL = "http://purl.org/pan-science/PaNET/"
LONGEST = 200
_SPELLING = re.compile(
    r"(?:https?://purl\.org/pan-science/PaNET/|panet:)?(?:panet)(\d{5}|\d{7})", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True, slots=True)
class Term:
    """One term of PaNET: `broader` are its nearest broader terms' ids."""

    id: str
    title: str
    others: tuple[str, ...]
    broader: tuple[str, ...]


@cache
def terms() -> dict[str, Term]:
    """Every term by its bare id; read once, when first asked for (about a millisecond)."""
    found = {}
    for line in Path(__file__).with_name("panet.tsv").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, title, others, broader = line.split("\t")
            found[name] = Term(name, title, tuple(filter(None, others.split("|"))), tuple(broader.split()))
    return found


@cache
def _narrower() -> dict[str, frozenset[str]]:
    below: dict[str, set[str]] = {name: {name} for name in terms()}
    for name in terms():
        waiting, seen = [name], {name}
        while waiting:
            for up in terms()[waiting.pop()].broader:
                if up not in seen:
                    seen.add(up)
                    waiting.append(up)
                    below[up].add(name)
    return {name: frozenset(found) for name, found in below.items()}


def canonical(spelling: str) -> str:
    """The bare id of a PaNET term in any spelling and case; any other term as it is, without outer space.

    An id of PaNET's shape that v1.3.0 does not have becomes bare too: a newer PaNET may have it.
    Raises InvalidRequest for an empty term, one over 200 characters or with a control character.
    """
    text = spelling.strip()
    if not 1 <= len(text) <= LONGEST or not text.isprintable():
        raise InvalidRequest(f"A technique has 1 to {LONGEST} printable characters.")
    found = _SPELLING.fullmatch(text)
    return f"PaNET{found[1]}" if found else text


def spellings(term: str) -> tuple[str, ...]:
    """Every spelling under which catalogues hold this term: bare id, CURIE, PURL; a foreign term has one."""
    name = canonical(term)
    return (name, f"PaNET:{name}", PURL + name) if _SPELLING.fullmatch(name) else (name,)


def title(term: str) -> str:
    """PaNET's label of this term, empty when PaNET v1.3.0 has no such term."""
    found = terms().get(canonical(term))
    return found.title if found else ""


def narrower(term: str) -> frozenset[str]:
    """This term with every term narrower than it, as bare ids; a foreign or unknown term is alone."""
    name = canonical(term)
    return _narrower().get(name, frozenset((name,)))


@cache
def _by_label() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for term in terms().values():
        for label in {_plain(term.title), *map(_plain, term.others)}:
            found.setdefault(label, []).append(term.id)
    return {label: tuple(names) for label, names in found.items()}


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("-", " ").split())


def find(text: str) -> tuple[str, ...]:
    """The ids of the terms whose label or alternative label is this text; case and hyphens do not matter.

    Several when a label stands for several terms, none when no term has it; never raises.
    """
    return _by_label().get(_plain(text[:LONGEST]), ())
