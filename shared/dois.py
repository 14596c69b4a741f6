"""Digital object identifiers, however they are written (DOI Handbook, 2.4 and 3.8: the case of ASCII letters says nothing)."""

from __future__ import annotations

import re
from urllib.parse import unquote

_ADDRESS = re.compile(r"(?:https?://)?(?:dx\.|www\.)?doi\.org/", re.IGNORECASE)
_SCHEME = re.compile(r"(?:info:\s*doi/|urn:\s*doi:|doi:)\s*", re.IGNORECASE)


def plain(text: str) -> str:
    """A DOI without a resolver's address, in which what is percent-encoded is decoded, or a scheme; its case as it is."""
    said = text.strip()
    if address := _ADDRESS.match(said):
        return unquote(said[address.end() :]).strip()
    scheme = _SCHEME.match(said)
    return said[scheme.end() :] if scheme else said


def canonical(text: str) -> str:
    """The one spelling of a DOI: plain, ASCII letters in lower case. Two that name the same thing are equal."""
    return plain(text).encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
