"""Results of orders on the wire: an answer that names its order instead of a ticket."""

from __future__ import annotations

from shared.commands import Answer, Verb, refusal
from shared.errors import BackendError
from shared.wire.commands import answered, decode_answer
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.workspaces import WorkspaceReport


def encode_order_result(order_id: str, verb: Verb | None, answer: Answer) -> pb.OrderResult:
    """The result of one order. Raises TypeError or ValueError when the payload is not the verb's."""
    return answered(pb.OrderResult(order_id=order_id), verb, answer)


def decode_order_result(verb: Verb, result: pb.OrderResult) -> Answer:
    """The answer, cleaned, as `decode_answer` does it. A launch must be answered about its own workspace."""
    answer = decode_answer(verb, result)
    report = answer.payload if verb is Verb.LAUNCH else None
    if isinstance(report, WorkspaceReport) and report.workspace_id != result.order_id:
        return refusal(BackendError("The facility's answer could not be read."))
    return answer
