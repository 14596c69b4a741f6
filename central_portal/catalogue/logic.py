"""Pure rules of the catalogue: techniques as people write them, and what is counted on a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from shared import techniques
from shared.errors import InvalidRequest

SUGGESTED = 20
"""Most techniques that are suggested for some words."""


@dataclass(frozen=True, slots=True)
class Facet:
    """A value and how many datasets have it."""

    id: str
    count: int


def terms_of(asked: Iterable[str]) -> tuple[str, ...]:
    """Techniques as people write them, as canonical terms: an id, CURIE or address as it is, else a label of PaNET.

    Raises InvalidRequest for what is neither.
    """
    terms: dict[str, None] = {}
    for text in asked:
        term = techniques.canonical(text)
        if techniques.title(term) or ":" in term:
            terms[term] = None
            continue
        found = techniques.find(text)
        if not found:
            raise InvalidRequest(f"PaNET has no technique called {term}.", metadata={"technique": term})
        terms |= dict.fromkeys(found)
    return tuple(terms)


def suggested(text: str) -> tuple[str, ...]:
    """Terms of PaNET one of whose labels has a word for each word of the text that begins with it; the shortest first.

    At most `SUGGESTED`, none for a text without words.
    """
    words = text[:200].lower().replace("-", " ").split()
    if not words:
        return ()
    found = [
        (len(term.title), term.title, term.id)
        for term in techniques.terms().values()
        if any(_begin(words, label) for label in (term.title, *term.others))
    ]
    return tuple(name for *_, name in sorted(found)[:SUGGESTED])


def _begin(words: list[str], label: str) -> bool:
    there = label.lower().replace("-", " ").split()
    return all(any(said.startswith(word) for said in there) for word in words)


def facets(values: Iterable[str]) -> tuple[Facet, ...]:
    """Each value with its count, most frequent first, then by name; empty values are left out."""
    counts = Counter(value for value in values if value)
    return tuple(
        Facet(value, count) for value, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
