"""Commands and answers on the wire: the body that a MAC covers, and a table with a codec per word."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.catalogue import (
    Changes,
    Dataset,
    FilePage,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
)
from shared.commands import (
    PARAMETERS_OF,
    PAYLOAD_OF,
    Answer,
    Command,
    Done,
    GetChanges,
    GetDataset,
    GetFiles,
    Parameters,
    Payload,
    Redeem,
    Redeemed,
    Release,
    Restore,
    Stop,
    Unlink,
    Verb,
    refusal,
)
from shared.errors import BackendError, InvalidRequest, Unsupported
from shared.facilities import Outcome, is_facility_id
from shared.restores import DatasetReport
from shared.wire import catalogue, changes, files, grants, proposals, restoring, workspaces
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.parse import parse
from shared.wire.status import decode_problem, encode_problem
from shared.wire.text import Malformed
from shared.workspaces import LaunchRequest, WorkspaceReport

BODY_BYTES = 64 * 1024
GRANT_ID = 100
MAC_BYTES = 32
_COMMAND_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VERBS = {verb.value: verb for verb in Verb}
_GOOD = (Outcome.OK, Outcome.PARTIAL)
AnyResult = TypeVar("AnyResult", pb.Result, pb.OrderResult)
_REFUSALS = (Outcome.SIGN_IN_NEEDED, Outcome.NOT_LINKED, Outcome.DENIED, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class Codec:
    """How one word becomes bytes and back. `decode` raises InvalidRequest or Malformed."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


CODECS: dict[type, Codec] = {
    Redeem: Codec(grants.encode_redeem, grants.decode_redeem),
    Redeemed: Codec(grants.encode_redeemed, grants.decode_redeemed),
    Release: Codec(grants.encode_release, grants.decode_release),
    Unlink: Codec(grants.encode_unlink, grants.decode_unlink),
    Done: Codec(grants.encode_done, grants.decode_done),
    SearchQuery: Codec(catalogue.encode_query, catalogue.decode_query),
    SearchPage: Codec(catalogue.encode_page, catalogue.decode_page),
    GetDataset: Codec(catalogue.encode_get, catalogue.decode_get),
    Dataset: Codec(catalogue.encode_dataset, catalogue.decode_dataset),
    GetFiles: Codec(files.encode_question, files.decode_question),
    FilePage: Codec(files.encode_page, files.decode_page),
    ProposalQuery: Codec(proposals.encode_query, proposals.decode_query),
    ProposalPage: Codec(proposals.encode_page, proposals.decode_page),
    GetChanges: Codec(changes.encode_question, changes.decode_question),
    Changes: Codec(changes.encode, changes.decode),
    Restore: Codec(restoring.encode_restore, restoring.decode_restore),
    DatasetReport: Codec(restoring.encode_report, restoring.decode_report),
    LaunchRequest: Codec(workspaces.encode_launch, workspaces.decode_launch),
    Stop: Codec(workspaces.encode_stop, workspaces.decode_stop),
    WorkspaceReport: Codec(workspaces.encode_report, workspaces.decode_report),
}
"""Every parameter and payload; `PARAMETERS_OF` and `PAYLOAD_OF` say which verb uses which."""


def is_command_id(value: str) -> bool:
    """Whether `value` can be the id of a command."""
    return _COMMAND_ID.fullmatch(value) is not None


def encode_body(facility_id: str, command_id: str, verb: Verb, parameters: Parameters, expires_ms: int) -> bytes:
    """The bytes that the MAC covers and that are sent. Raises InvalidRequest for what no agent would read."""
    if type(parameters) is not PARAMETERS_OF[verb]:
        raise InvalidRequest(f"{verb.value} takes {PARAMETERS_OF[verb].__name__}.")
    try:
        encoded = CODECS[type(parameters)].encode(parameters)
        body = pb.Body(
            facility_id=facility_id,
            command_id=command_id,
            verb=verb.value,
            parameters=encoded,
            expires_ms=expires_ms,
        ).SerializeToString(deterministic=True)
        if len(body) > BODY_BYTES:
            raise InvalidRequest(f"A command is larger than {BODY_BYTES} bytes.")
        _read(facility_id, command_id, verb, encoded)
    except Malformed as error:
        raise InvalidRequest(str(error)) from error
    except ValueError as error:
        raise InvalidRequest("The command has a value that cannot be sent.") from error
    return body


def decode_body(body: bytes) -> Command:
    """The command, every value checked.

    Raises InvalidRequest for bytes that are none or values out of bounds, Unsupported for a verb that
    this version does not know.
    """
    try:
        message = parse(pb.Body, body, BODY_BYTES)
        verb = _VERBS.get(message.verb)
        parameters = _read(message.facility_id, message.command_id, verb, message.parameters)
    except Malformed as error:
        raise InvalidRequest(str(error)) from error
    assert verb is not None
    return Command(message.facility_id, message.command_id, verb, parameters, message.expires_ms)


def _read(facility_id: str, command_id: str, verb: Verb | None, parameters: bytes) -> Parameters:
    """The parameters, when all of a body makes sense. Raises InvalidRequest, Unsupported, Malformed."""
    if not is_facility_id(facility_id) or not is_command_id(command_id):
        raise InvalidRequest("A command names a facility and has an id of at most 64 characters.")
    if verb is None:
        raise Unsupported("The facility does not know this command.")
    if verb is Verb.LAUNCH:
        workspaces.workspace_id(command_id)
    read: Parameters = CODECS[PARAMETERS_OF[verb]].decode(parameters)
    return read


def verb_of(body: bytes) -> Verb | None:
    """The verb that a body names, None when it cannot be told. Nothing is checked."""
    try:
        return _VERBS.get(parse(pb.Body, body, BODY_BYTES).verb)
    except Malformed:
        return None


def encode_payload(verb: Verb, payload: Payload) -> bytes:
    """The bytes of what an answer carries. Raises TypeError for another verb's payload, ValueError for odd values."""
    if type(payload) is not PAYLOAD_OF[verb]:
        raise TypeError(f"{verb.value} is answered with {PAYLOAD_OF[verb].__name__}")
    return CODECS[type(payload)].encode(payload)


def decode_payload(verb: Verb, data: bytes) -> Payload:
    """What an answer carries, cleaned. Raises Malformed or InvalidRequest."""
    payload: Payload = CODECS[PAYLOAD_OF[verb]].decode(data)
    return payload


def encode_answer(ticket: int, verb: Verb | None, answer: Answer) -> pb.Result:
    """The result of one command. Raises TypeError or ValueError when the payload is not the verb's."""
    return answered(pb.Result(ticket=ticket), verb, answer)


def answered(result: AnyResult, verb: Verb | None, answer: Answer) -> AnyResult:
    """`result` with the answer in it. Raises TypeError or ValueError as `encode_answer` does."""
    result.outcome = answer.outcome.value
    if answer.payload is not None:
        if verb is None:
            raise TypeError("a payload without a verb")
        result.payload = encode_payload(verb, answer.payload)
    if answer.problem is not None:
        result.problem.CopyFrom(encode_problem(answer.problem))
    return result


def decode_answer(verb: Verb, result: pb.Result | pb.OrderResult) -> Answer:
    """The answer, cleaned; what cannot be read is a failure of the facility. Never raises.

    A facility cannot claim to be OFFLINE or TIMED_OUT: only the centre knows that.
    """
    outcome = Outcome(result.outcome) if result.outcome in Outcome.__members__ else Outcome.FAILED
    problem = decode_problem(result.problem) if result.HasField("problem") else None
    if outcome in _GOOD:
        try:
            return Answer(outcome, decode_payload(verb, result.payload), problem)
        except (Malformed, InvalidRequest):
            return refusal(BackendError("The facility's answer could not be read."))
    if problem is None:
        return refusal(BackendError("The facility refused without saying why."))
    return Answer(outcome if outcome in _REFUSALS else Outcome.FAILED, None, problem)
