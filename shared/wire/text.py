"""What a peer's strings and numbers become before anybody else sees them.

Titles and sentences are cleaned: a person's screen is all that they reach. Identifiers are never
changed, since another name is another thing: a bad one raises `Malformed`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterable

IDENTIFIER = 100
PID = 512
TITLE = 300
SENTENCE = 1000
PARAGRAPH = 5000
LARGEST = 2**63 - 1
EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_799.0  # the years 1 to 9999, all that calendars here know

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")  # scripts and emoji need them; they show nothing by themselves
_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Malformed(ValueError):
    """Bytes or values that are none of ours. The message is one public sentence."""


def plain(text: str, most: int = TITLE) -> str:
    """One line of visible text of at most `most` characters: no control, format or direction marks."""
    shown = text[: 4 * most]
    if not shown.isprintable():  # what is printable has nothing hidden and no space but " "
        shown = "".join(" " if c.isspace() else c for c in shown if c.isspace() or not _hidden(c))
    return " ".join(shown.split())[:most].rstrip()


def is_plain(text: str, most: int) -> bool:
    """Whether `text` has at most `most` characters, all visible or spaces."""
    return len(text) <= most and (text.isprintable() or not any(map(_hidden, text)))


def is_identifier(text: str, most: int = IDENTIFIER) -> bool:
    """Whether `text` has 1 to `most` characters, all visible, with no space at either end."""
    return text != "" and text == text.strip() and is_plain(text, most)


def are_identifiers(texts: Collection[str], most: int = IDENTIFIER) -> bool:
    """Whether `is_identifier` holds for each; usual ones are judged all at once."""
    together = "".join(texts)
    if together.isprintable() and " " not in together:
        return "" not in texts and max(map(len, texts), default=0) <= most
    return all(is_identifier(text, most) for text in texts)


def identifier(text: str, most: int = IDENTIFIER) -> str:
    """`text` unchanged. Raises Malformed unless it has 1 to `most` characters, all visible."""
    if not is_identifier(text, most):
        raise Malformed(f"An identifier has 1 to {most} visible characters.")
    return text


def optional_identifier(text: str, most: int = IDENTIFIER) -> str:
    """Like `identifier`, but empty is allowed."""
    return identifier(text, most) if text else ""


def identifiers(texts: Iterable[str], most: int) -> tuple[str, ...]:
    """The good ones among the first `most`, in order; bad ones are left out."""
    found: list[str] = []
    for text, _ in zip(texts, range(most), strict=False):
        if is_identifier(text):
            found.append(text)
    return tuple(found)


def reason(code: str) -> str:
    """A stable reason code, empty when `code` is none."""
    return code if _REASON.fullmatch(code) else ""


def traceparent(header: str) -> str:
    """A W3C trace context, empty when `header` is none: a bad one must cost nothing but the trace."""
    return header if _TRACEPARENT.fullmatch(header) else ""


def instant(seconds: float) -> float | None:
    """POSIX seconds within the years 1 to 9999, None for anything else."""
    return seconds if EARLIEST <= seconds <= LATEST else None


def duration(seconds: float) -> float | None:
    """Seconds from 0 to a century, None for anything else."""
    return seconds if math.isfinite(seconds) and 0 <= seconds <= 3_155_760_000 else None


def count(number: int) -> int:
    """A whole number that every database here can hold."""
    return min(max(number, 0), LARGEST)


def _hidden(character: str) -> bool:
    if " " <= character <= "~":
        return False
    return character not in _JOINERS and unicodedata.category(character) in _HIDDEN
