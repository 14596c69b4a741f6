"""What earlier versions said, played to the ends of this one. See tests/corpus/README.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from shared.commands import Verb
from shared.wire.events import DATASET, DESCRIBED
from shared.wire.gen.parasol.catalogue.v1 import catalogue_pb2 as catalogue
from shared.wire.gen.parasol.facilities.v1 import facilities_pb2 as facilities
from shared.wire.gen.parasol.grants.v1 import grants_pb2 as grants
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.gen.parasol.workspaces.v1 import workspaces_pb2 as workspaces
from shared.wire.raw import pieces
from tests.corpus.conversations import CONVERSATIONS, ORDERED, QUERIES, ends
from tests.corpus.reading import envelopes, heard
from tests.corpus.record import OTHER, ROOT, record
from tests.corpus.samples import ORDERS, WORKSPACE

VERSIONS = sorted(folder.name for folder in ROOT.iterdir())
RECORDINGS = [(version, name) for version in VERSIONS for name in CONVERSATIONS]
UNSPOKEN = {"parasol.link.v1.BulkChunk", "parasol.link.v1.BulkReceipt"}  # of another RPC
PARAMETERS: dict[str, type[Message]] = {
    Verb.REDEEM: grants.Redeem,
    Verb.RELEASE: grants.Release,
    Verb.UNLINK: grants.Unlink,
    Verb.SEARCH: catalogue.Search,
    Verb.GET: catalogue.Get,
    Verb.FILES: catalogue.GetFiles,
    Verb.PROPOSALS: catalogue.ProposalQuery,
    Verb.CHANGES: catalogue.GetChanges,
    Verb.RESTORE: catalogue.Restore,
    Verb.LAUNCH: workspaces.Launch,
    Verb.STOP: workspaces.Stop,
}
PAYLOADS: dict[str, type[Message]] = {
    Verb.REDEEM: grants.Redeemed,
    Verb.RELEASE: grants.Done,
    Verb.UNLINK: grants.Done,
    Verb.SEARCH: catalogue.Page,
    Verb.GET: catalogue.Dataset,
    Verb.FILES: catalogue.FilePage,
    Verb.PROPOSALS: catalogue.ProposalPage,
    Verb.CHANGES: catalogue.Changes,
    Verb.RESTORE: catalogue.DatasetReport,
    Verb.LAUNCH: workspaces.Report,
    Verb.STOP: workspaces.Report,
}


def recorded(version: str, conversation: str) -> list[tuple[str, bytes, dict[str, Any]]]:
    """(step, frame, meaning) in the order in which they were said."""
    found = []
    for file in sorted((ROOT / version).glob(f"{conversation}-*.bin")):
        step = file.stem.removeprefix(f"{conversation}-")[3:]
        found.append((step, file.read_bytes(), json.loads(file.with_suffix(".json").read_text())))
    assert found
    return found


def contains(now: Any, then: Any) -> bool:
    """Whether `now` says all that `then` said; later versions may say more of it."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and contains(now[key], then[key]) for key in then)
    if isinstance(then, list):
        return isinstance(now, list) and len(now) == len(then) and all(map(contains, now, then))
    return bool(now == then)


@pytest.mark.parametrize("listener", ["agent", "centre"])
@pytest.mark.parametrize(("version", "conversation"), RECORDINGS)
def test_a_recording_is_understood(version: str, conversation: str, listener: str) -> None:
    steps = {step.name: step for step in CONVERSATIONS[conversation]()}
    end = ends()[listener]
    for name, frame, meaning in recorded(version, conversation):
        if meaning["from"] == listener:
            steps[name].do(end)
            while end.next_frame() is not None:
                pass
            continue
        assert meaning["from"] == OTHER[listener]
        outputs = json.loads(json.dumps([heard(output) for output in end.receive(frame, meaning["at"])]))
        assert contains(outputs, meaning["outputs"]), name
        assert len(outputs) == len(meaning["outputs"])


@pytest.mark.parametrize(("version", "conversation"), RECORDINGS)
def test_a_recording_is_read_as_it_was_written(version: str, conversation: str) -> None:
    for name, frame, meaning in recorded(version, conversation):
        assert contains(envelopes(meaning["from"], frame), meaning["envelopes"]), name


def test_every_file_belongs_to_a_conversation() -> None:
    for version in VERSIONS:
        files = {file.name for file in (ROOT / version).iterdir()}
        known = {f.name for name in CONVERSATIONS for f in (ROOT / version).glob(f"{name}-*")}
        assert files == known
        assert {name for name in files if name.endswith(".bin")} == {
            name.replace(".json", ".bin") for name in files if name.endswith(".json")
        }


def test_the_newest_recording_says_everything_that_can_be_said() -> None:
    said: set[str] = set()
    for name in CONVERSATIONS:
        for _, frame, meaning in recorded(VERSIONS[-1], name):
            kind = pb.AgentEnvelope if meaning["from"] == "agent" else pb.CentreEnvelope
            for piece in pieces(frame, 1, 100):
                said.update(spoken(kind.FromString(piece)))
    modules = (pb, catalogue, facilities, grants, workspaces)
    roots = [m for module in modules for m in module.DESCRIPTOR.message_types_by_name.values()]
    wanted = {field for message in roots for field in fields_of(message)}
    assert wanted - said == set()


def test_this_version_says_what_it_recorded(tmp_path: Path) -> None:
    """Or else a new folder is due: facilities of the older version still say the old words."""
    record(tmp_path)
    for file in sorted(tmp_path.glob("*.json")):
        then = json.loads((ROOT / VERSIONS[-1] / file.name).read_text())
        assert contains(json.loads(file.read_text())["envelopes"], then["envelopes"]), file.name


def fields_of(message: Descriptor) -> Iterator[str]:
    if message.full_name not in UNSPOKEN and not message.name.endswith("Frame"):
        yield from (f"{message.full_name}.{field.name}" for field in message.fields)


def spoken(message: Message) -> Iterator[str]:
    """Every field that is set in a message, in those within it, and in the payloads it carries."""
    for field, value in message.ListFields():
        yield f"{message.DESCRIPTOR.full_name}.{field.name}"
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if field.message_type is not None and not is_map:
            for inner in value if field.is_repeated else [value]:
                yield from spoken(inner)
    for kind, data in payloads(message):
        yield from spoken(kind.FromString(data))


def payloads(message: Message) -> Iterator[tuple[type[Message], bytes]]:
    if isinstance(message, pb.Hello):
        yield facilities.Description, message.description
        yield workspaces.Inventory, message.inventory
    elif isinstance(message, pb.Command | pb.Order):
        yield pb.Body, message.body
    elif isinstance(message, pb.Body) and message.verb:
        yield PARAMETERS[message.verb], message.parameters
    elif isinstance(message, pb.Result):
        yield PAYLOADS[QUERIES[message.ticket - 1]], message.payload
    elif isinstance(message, pb.OrderResult):
        verbs = dict(zip((WORKSPACE, *ORDERS), ORDERED, strict=True))
        yield PAYLOADS[verbs[message.order_id]], message.payload
    elif isinstance(message, pb.Event):
        kinds = {DESCRIBED: facilities.Description, DATASET: catalogue.DatasetReport}
        yield kinds.get(message.kind, workspaces.Report), message.payload
