"""Page cursors: a place in an order as opaque text, and back. Nothing is secret in them and nothing is believed."""

from __future__ import annotations

import base64
import json
from typing import Any

from shared.errors import InvalidRequest

FOREIGN = "This page cursor is not one of ours."


def write(*place: Any) -> str:
    """A place, of texts and numbers, as printable ASCII."""
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode()


def read(cursor: str, *kinds: type) -> list[Any]:
    """The place that `write` was given. Raises InvalidRequest for any other text, other kinds, and for what is no number."""
    try:
        place = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        if not isinstance(place, list) or [type(value) for value in place] != [*kinds]:
            raise ValueError
        if any(value != value for value in place):
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        raise InvalidRequest(FOREIGN) from None
    return place
