"""ICAT's refusals: the codes of IcatException and the HTTP status that each is sent with."""

from __future__ import annotations

STATUS = {
    "BAD_PARAMETER": 400,
    "INTERNAL": 500,
    "INSUFFICIENT_PRIVILEGES": 403,
    "NO_SUCH_OBJECT_FOUND": 404,
    "SESSION": 403,
    "VALIDATION": 412,
    "NOT_IMPLEMENTED": 501,
}


class Refused(Exception):
    """An answer that is none: `code` is one of STATUS."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]

    @property
    def body(self) -> dict[str, str]:
        """What is sent."""
        return {"code": self.code, "message": self.message}


def bad(message: str) -> Refused:
    """What ICAT refuses because of what was asked."""
    return Refused("BAD_PARAMETER", message)


def unknown(what: str) -> Refused:
    """What ICAT may know and this stand-in does not: never guessed."""
    return Refused("NOT_IMPLEMENTED", f"This stand-in does not know {what}")
