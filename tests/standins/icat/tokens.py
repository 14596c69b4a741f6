"""The words of a query, as org.icatproject.core.parser.Tokenizer cuts them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.standins.icat.errors import bad

_KEYWORDS = """
    ABS ALL AND ANY AS ASC AVG BETWEEN BOTH BY CONCAT COUNT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DESC DISTINCT
    DIV EMPTY ESCAPE FALSE FETCH FROM GROUP HAVING IN INCLUDE INNER IS JOIN LEADING LEFT LENGTH LIMIT LOCATE LOWER MAX
    MEMBER MIN MINUS MOD MULT NOT NULL OBJECT OR ORDER OUTER PLUS REAL SELECT SIZE SQRT SUBSTRING SUM TIMESTAMP TRAILING
    TRIM TRUE UPPER WHERE LIKE
"""
KEYWORDS = frozenset(_KEYWORDS.split())
# Blanks are spaces alone: ICAT refuses a tab or a new line outside of quotes.
_TOKEN = re.compile(
    r"(?P<STRING>'(?:[^'\0]|'')*')|(?P<TIMESTAMP>\{[^}]*\})|(?P<REAL>-?\d+[eE.][\deE.+-]*)|(?P<INTEGER>-?\d+)"
    r"|(?P<PARAMETER>:\w*)|(?P<NAME>(?:[^\W\d]|\$)[\w.$]*)|(?P<COMPOP><>|<=|>=|!=|[<>=])|(?P<SIGN>[(),+*/-])|(?P<BLANK> +)"
)
_TIMESTAMP = re.compile(r"\{\s*ts\s+(\d{4}-\d{2}-\d{2})\s+(\d{2}:\d{2}:\d{2})\s*\}")


@dataclass(frozen=True)
class Token:
    """`kind` is STRING, TIMESTAMP, REAL, INTEGER, PARAMETER, NAME, COMPOP, or the keyword or sign itself."""

    kind: str
    text: str


def tokens(text: str) -> list[Token]:
    """The words of a query. Raises Refused (BAD_PARAMETER)."""
    found, at = list[Token](), 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise bad(
                f"Unexpected character '{text[at]}' near \"{text[max(0, at - 4) : at + 5]}\" for string: {text}"
            )
        kind = str(match.lastgroup)
        if kind != "BLANK":
            found.append(_token(kind, match[0], text))
        at = match.end()
    return found


def _token(kind: str, said: str, text: str) -> Token:
    if kind == "STRING":
        return Token(kind, said[1:-1].replace("''", "'"))
    if kind == "TIMESTAMP":
        moment = _TIMESTAMP.fullmatch(said)
        if moment is None:
            raise bad(f"Timestamp {said} is not of form {{ts yyyy-mm-dd hh:mm:ss}}.")
        return Token(kind, f"{moment[1]} {moment[2]}")
    if kind == "REAL":
        try:
            return Token(kind, str(float(said)))
        except ValueError:
            raise bad(f"Unexpected character in {said!r} in state REAL for string: {text}") from None
    if kind == "NAME" and said.upper() in KEYWORDS:
        return Token("COMPOP" if said.upper() == "LIKE" else said.upper(), said.upper())
    return Token(said if kind == "SIGN" else kind, said)


class Words:
    """Tokens read from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens, self._at = tokens(text), 0

    def peek(self, ahead: int = 0) -> Token:
        """A token that is not taken; its kind is "" behind the last one."""
        place = self._at + ahead
        return self._tokens[place] if place < len(self._tokens) else Token("", "")

    def take(self, *kinds: str) -> Token:
        """The next token, which must be one of these kinds. Raises Refused."""
        token = self.peek()
        if not token.kind:
            raise bad("Attempt to read beyond end")
        if kinds and token.kind not in kinds:
            raise bad(f"Expected token from types [{', '.join(kinds)}] at token {token.text}")
        self._at += 1
        return token

    def have(self, *kinds: str) -> bool:
        """Takes these kinds when they come next, in this order."""
        if tuple(self.peek(ahead).kind for ahead in range(len(kinds))) != kinds:
            return False
        self._at += len(kinds)
        return True

    def done(self) -> None:
        """Nothing may be left. Raises Refused."""
        if self.peek().kind:
            raise bad(f"No more input expected at token {self.peek().text}")
