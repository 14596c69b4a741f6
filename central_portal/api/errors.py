"""The only mapping of errors onto GraphQL."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from graphql import GraphQLError

from shared.errors import ParasolError

log = logging.getLogger(__name__)


def refusal(code: str, message: str) -> GraphQLError:
    """An error that was found before anything was executed."""
    return GraphQLError(message, extensions={"code": code, "retryable": False})


def formatted(error: GraphQLError) -> dict[str, Any]:
    """An error as it is shown: a ParasolError with its reason, a mistake of the document, or INTERNAL with a reference."""
    shown: dict[str, Any] = dict(error.formatted)
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if isinstance(cause, ParasolError):
        shown["message"] = cause.message
        shown["extensions"] = {"code": cause.reason, "retryable": cause.retryable, "metadata": cause.metadata}
    elif cause is None or isinstance(cause, GraphQLError):
        shown.setdefault("extensions", {}).setdefault("code", "BAD_DOCUMENT")
    else:
        reference = uuid.uuid4().hex[:12]
        log.error("internal error %s", reference, exc_info=cause)
        shown["message"] = f"Something failed on our side; reference {reference}."
        shown["extensions"] = {"code": "INTERNAL", "retryable": True, "metadata": {"reference": reference}}
    return shown
