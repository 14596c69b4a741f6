"""Errors on the wire: the one place where `shared.errors` and a Problem become each other."""

from __future__ import annotations

from shared.commands import Problem
from shared.errors import ParasolError, by_reason
from shared.wire import text
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb

_VARIABLES = 16


def encode_problem(problem: Problem) -> pb.Problem:
    """The message of a problem."""
    return pb.Problem(
        reason=problem.reason,
        message=problem.message,
        retryable=problem.retryable,
        metadata=problem.metadata,
    )


def decode_problem(message: pb.Problem) -> Problem:
    """The problem, cleaned; without a readable reason it is INTERNAL, without a sentence the reason's own."""
    reason = text.reason(message.reason) or ParasolError.reason
    metadata: dict[str, str] = {}
    for key in sorted(message.metadata)[:_VARIABLES]:
        if text.is_identifier(key, 64):
            metadata[key] = text.plain(message.metadata[key])
    sentence = text.plain(message.message, text.SENTENCE) or by_reason(reason).default_message
    return Problem(reason, sentence, message.retryable, metadata)


def error_of(problem: Problem) -> ParasolError:
    """The error that a problem stands for, of its reason's class; an unknown reason keeps its code.

    `Problem.of(error_of(problem)) == problem` always holds.
    """
    error = by_reason(problem.reason)(problem.message, metadata=problem.metadata)
    # Class variables by design; a newer peer's reason and its own view on retrying travel with this one error.
    vars(error).update(reason=problem.reason, retryable=problem.retryable)
    return error
