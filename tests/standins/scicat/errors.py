"""What Nest answers when something is refused."""

from __future__ import annotations

from typing import Any

NAMES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 501: "Not Implemented"}


class Refused(Exception):
    """An HTTP error with Nest's body; `own` is the body of an `HttpException` that was given an object."""

    def __init__(self, status: int, message: str | list[str] | None, *, own: bool = False) -> None:
        self.status = status
        self.body: dict[str, Any] = {"message": message, "error": NAMES.get(status, ""), "statusCode": status}
        if own:
            self.body = {"status": status, "message": message}
        elif message is None:
            self.body = {"message": NAMES[status], "statusCode": status}
        super().__init__(str(message))


def unknown(what: str) -> Refused:
    """This stand-in does not know how SciCat answers it."""
    return Refused(501, f"the stand-in does not know {what}")
