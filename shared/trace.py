"""The trace that the work at hand belongs to (W3C Trace Context): one per request, carried along each command.

There is no tracer here: the id connects the log lines of portal, hub and agent, and goes on to whoever traces.
"""

from __future__ import annotations

import logging
import secrets
from contextvars import ContextVar

from shared.wire.text import traceparent

_current: ContextVar[str] = ContextVar("traceparent", default="")


def enter(incoming: str = "") -> str:
    """Go on with a caller's `traceparent` for the rest of this task, or begin a trace when it has none that is good."""
    mine = traceparent(incoming) or f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
    _current.set(mine)
    return mine


def current() -> str:
    """The `traceparent` of this task, empty for none."""
    return _current.get()


class TraceInLogs(logging.Filter):
    """Gives each record `trace`: the trace's id, or a hyphen."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops a record."""
        record.trace = _current.get()[3:35] or "-"
        return True


LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s [%(trace)s]: %(message)s"


def log_to_stderr() -> None:
    """Log lines with their trace on standard error, from INFO up."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    for handler in logging.getLogger().handlers:
        handler.addFilter(TraceInLogs())
