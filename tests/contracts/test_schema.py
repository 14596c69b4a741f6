"""The wire contract itself: what no message may name, and a sentence on everything."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from shared.wire.gen.parasol.catalogue.v1 import catalogue_pb2
from shared.wire.gen.parasol.enrolment.v1 import enrolment_pb2
from shared.wire.gen.parasol.facilities.v1 import facilities_pb2
from shared.wire.gen.parasol.grants.v1 import grants_pb2
from shared.wire.gen.parasol.link.v1 import link_pb2
from shared.wire.gen.parasol.workspaces.v1 import workspaces_pb2

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "proto").rglob("*.proto"))
MODULES = [catalogue_pb2, enrolment_pb2, facilities_pb2, grants_pb2, link_pb2, workspaces_pb2]
FORBIDDEN = {
    # a person
    "person", "user", "username", "login", "subject", "sub", "email", "mail", "orcid", "identity", "issuer", "account",
    "uid", "gid", "group", "groups", "home", "owner",
    # a place inside the site
    "path", "folder", "directory", "file", "filename", "mount", "host", "hostname", "port", "ip", "socket", "node",
    # what runs
    "image", "command", "cmd", "args", "argv", "arguments", "entrypoint", "script", "env", "variable", "variables",
    # what opens
    "secret", "password", "cookie", "credential", "credentials", "private",
}  # fmt: skip
KNOWN_GOOD = {
    "parasol.link.v1.CentreEnvelope.command": "the envelope's case, a message of bytes under a grant",
    "parasol.link.v1.Body.command_id": "an id that the centre made",
    "parasol.catalogue.v1.File.path": "below the dataset's root; the wire refuses any other",
    "parasol.catalogue.v1.Member.orcid": "of an open proposal's public record, where the person gave it",
    "parasol.enrolment.v1.Token.secret": "the right to enrol once, made by the centre; it opens nothing at a facility",
    "parasol.enrolment.v1.EnrolRequest.secret": "the same on its way back; spent by this very request",
}


def messages() -> Iterator[Descriptor]:
    def walk(descriptor: Descriptor) -> Iterator[Descriptor]:
        yield descriptor
        for nested in descriptor.nested_types:
            yield from walk(nested)

    for module in MODULES:
        for descriptor in module.DESCRIPTOR.message_types_by_name.values():
            yield from walk(descriptor)


def fields() -> Iterator[FieldDescriptor]:
    for message in messages():
        yield from message.fields


def test_every_proto_is_looked_at() -> None:
    assert {Path(module.DESCRIPTOR.name).name for module in MODULES} == {path.name for path in FILES}


def test_no_message_names_a_person_a_place_or_what_to_run() -> None:
    found = {field.full_name for field in fields() if set(field.name.split("_")) & FORBIDDEN}
    assert found == set(KNOWN_GOOD)


def test_no_bytes_but_those_that_are_read_again_by_this_contract() -> None:
    """Bytes could smuggle anything; each such field is one that `shared.wire` decodes, a MAC, or a hash whose length is looked at."""
    assert {field.full_name for field in fields() if field.type == FieldDescriptor.TYPE_BYTES} == {
        "parasol.link.v1.Hello.description",
        "parasol.link.v1.Hello.inventory",
        "parasol.link.v1.Heartbeat.egress_hash",
        "parasol.link.v1.Heartbeat.egress_asked_hash",
        "parasol.link.v1.Command.body",
        "parasol.link.v1.Command.mac",
        "parasol.link.v1.Body.parameters",
        "parasol.link.v1.Result.payload",
        "parasol.link.v1.Event.payload",
        "parasol.link.v1.Order.body",
        "parasol.link.v1.Order.mac",
        "parasol.link.v1.OrderResult.payload",
        "parasol.link.v1.BulkChunk.data",
        "parasol.enrolment.v1.Token.secret",
        "parasol.enrolment.v1.Token.authorities",
        "parasol.enrolment.v1.Statement.request",
        "parasol.enrolment.v1.Statement.public_key",
        "parasol.enrolment.v1.EnrolRequest.secret",
        "parasol.enrolment.v1.EnrolRequest.statement",
        "parasol.enrolment.v1.EnrolRequest.signature",
        "parasol.enrolment.v1.RenewRequest.request",
        "parasol.enrolment.v1.RecoverRequest.statement",
        "parasol.enrolment.v1.RecoverRequest.signature",
        "parasol.enrolment.v1.Enrolled.certificate",
        "parasol.enrolment.v1.Enrolled.authorities",
    }


def test_the_only_map_is_an_errors_variables() -> None:
    maps = {f.full_name for f in fields() if f.message_type is not None and f.message_type.GetOptions().map_entry}
    assert maps == {"parasol.link.v1.Problem.metadata"}


def test_no_enum_or_any_or_struct_opens_the_contract() -> None:
    types = {field.message_type.full_name for field in fields() if field.message_type is not None}
    assert all(name.startswith("parasol.") for name in types)


DECLARES = re.compile(r"^\s*(message|enum|service|rpc|oneof|(optional |repeated )?[\w.]+(<[^>]*>)? \w+ = \d+;)")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_declaration_has_a_sentence_above_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    bare = [line.strip() for above, line in itertools.pairwise(lines)
            if DECLARES.match(line) and not re.match(r"^\s*// \S.*", above)]  # fmt: skip
    assert bare == []
    assert sum(bool(DECLARES.match(line)) for line in lines) >= 5, "the pattern still finds declarations"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_proto_imports_another(path: Path) -> None:
    assert not re.search(r"^import ", path.read_text(), re.MULTILINE)
