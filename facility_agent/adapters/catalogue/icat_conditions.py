"""The condition of an access rule, read word by word: what is known of JPQL is passed on as it stands, all else refused.

Queries within queries, functions other than LOWER and UPPER, arithmetic and collections other than `IS EMPTY` are not known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_TOKEN = re.compile(
    rf"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<user>:user\b)|(?P<stamp>\{{ts \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\}})"
    rf"|(?P<sign><=|>=|<>|!=|[=<>])|(?P<mark>[(),])|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<path>{NAME}(?:\.{NAME})+)|(?P<word>{NAME}))"
)
_LITERALS = {"text", "stamp", "number"}
_WORDS = {"CURRENT_TIMESTAMP", "TRUE", "FALSE"}


DEEP = 50
"""So far conditions may stand within each other."""


class Unknown(Exception):
    """What is not known of a condition."""


def condition(text: str, aliases: Sequence[str], user: str) -> str:
    """The condition with `user`, a literal, in the place of `:user`. Raises Unknown.

    Its parentheses and quotes are closed and its paths begin with one of `aliases`, so that in parentheses it can be joined to
    others by AND.
    """
    reader = _Reader(text, aliases, user)
    reader.any()
    if reader.kind:
        raise Unknown(text)
    return " ".join(reader.said)


class _Reader:
    def __init__(self, text: str, aliases: Sequence[str], user: str) -> None:
        self._text, self._user, self._at, self._depth = text.rstrip(), user, 0, 0
        self._aliases = {alias.upper() for alias in aliases}
        self.said: list[str] = []
        self.kind = self.word = ""
        self._look()

    def _look(self) -> None:
        """The next word, which is not taken yet; its kind is empty behind the last one."""
        self.kind = self.word = ""
        if self._at < len(self._text):
            token = _TOKEN.match(self._text, self._at)
            if token is None:
                raise Unknown(self._text)
            self.kind = str(token.lastgroup)
            self.word = token[self.kind]
            self._end = token.end()

    def _take(self) -> None:
        self.said.append(self._user if self.kind == "user" else self.word)
        self._at = self._end
        self._look()

    def _have(self, *words: str) -> bool:
        """Takes one of these words or marks when it comes next."""
        found = self.kind in ("word", "mark") and self.word.upper() in words
        if found:
            self._take()
        return found

    def _must(self, *words: str) -> None:
        if not self._have(*words):
            raise Unknown(self._text)

    def any(self) -> None:
        self._one()
        while self._have("AND", "OR"):
            self._one()

    def _one(self) -> None:
        self._depth += 1
        if self._depth > DEEP:
            raise Unknown(self._text)
        if self._have("NOT"):
            self._one()
        elif self._have("("):
            self.any()
            self._must(")")
        else:
            self._compared()
        self._depth -= 1

    def _compared(self) -> None:
        path = self.kind == "path"
        self._value()
        if self._have("IS"):
            self._have("NOT")
            self._must("NULL", *(["EMPTY"] if path else []))
        elif self.kind == "sign":
            self._take()
            self._value()
        else:
            self._have("NOT")
            self._ranged()

    def _ranged(self) -> None:
        if self._have("IN"):
            self._must("(")
            self._literal(_LITERALS)
            while self._have(","):
                self._literal(_LITERALS)
            self._must(")")
        elif self._have("LIKE"):
            self._literal({"text"})
            if self._have("ESCAPE"):
                self._literal({"text"})
        else:
            self._must("BETWEEN")
            self._value()
            self._must("AND")
            self._value()

    def _literal(self, kinds: set[str]) -> None:
        foreign = self.kind == "path" and self.word.partition(".")[0].upper() not in self._aliases
        if self.kind not in kinds or foreign:
            raise Unknown(self._text)
        self._take()

    def _value(self) -> None:
        if self._have("LOWER", "UPPER"):
            self._must("(")
            self._literal({"path", "text", "user"})
            self._must(")")
        elif self.kind == "path":
            self._literal({"path"})
        elif self.kind in (*_LITERALS, "user"):
            self._take()
        else:
            self._must(*_WORDS)
