"""What may leave a facility, as paths of fields: told by the contract's descriptors, held to by `Sieve`.

A *word* is a verb's value, an event's kind, or one of the link's own words; a *path* is a field's name within the
word's payload, `datasets.title` for one of a message within. A map counts as one field.

E-mail addresses are taken out of whatever text of the catalogue is no identifier: nobody typed them there for the world.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from shared.catalogue import Changes, Dataset, FilePage, ProposalPage, SearchPage
from shared.commands import PAYLOAD_OF, Done, Redeemed, Verb
from shared.restores import DatasetReport
from shared.wire.emails import without_emails
from shared.wire.events import DATASET, DESCRIBED, REPORTED
from shared.wire.gen.parasol.catalogue.v1 import catalogue_pb2 as catalogue
from shared.wire.gen.parasol.facilities.v1 import facilities_pb2 as facilities
from shared.wire.gen.parasol.grants.v1 import grants_pb2 as grants
from shared.wire.gen.parasol.link.v1 import link_pb2 as link
from shared.wire.gen.parasol.workspaces.v1 import workspaces_pb2 as workspaces
from shared.wire.parse import parse_bounded
from shared.workspaces import WorkspaceReport

INVENTORY, LINK, BULK = "workspaces.inventory", "link", "link.bulk"
PROBLEM = "problem"
_PAYLOADS: dict[type, type[Message]] = {
    Redeemed: grants.Redeemed, Done: grants.Done, SearchPage: catalogue.Page, Dataset: catalogue.Dataset,
    FilePage: catalogue.FilePage, ProposalPage: catalogue.ProposalPage, Changes: catalogue.Changes,
    DatasetReport: catalogue.DatasetReport, WorkspaceReport: workspaces.Report,
}  # fmt: skip
_MESSAGES: dict[str, type[Message]] = {
    **{verb.value: _PAYLOADS[PAYLOAD_OF[verb]] for verb in Verb},
    DESCRIBED: facilities.Description, REPORTED: workspaces.Report, INVENTORY: workspaces.Inventory,
    DATASET: catalogue.DatasetReport, PROBLEM: link.Problem,
}  # fmt: skip
_IDENTIFIERS = frozenset({
    "pid", "proposal", "doi", "orcid", "licence", "techniques", "state", "token", "next", "gone_datasets", "gone_proposals",
})  # fmt: skip
"""Text of the catalogue that machines compare, and that leaves as it is or not at all."""
Allowed = Mapping[str, Set[str]]


class When(StrEnum):
    """When a narrowed field leaves."""

    NEVER = "never"
    OPEN = "open"
    """Only of a dataset that anyone may read."""


def schema() -> dict[str, frozenset[str]]:
    """Every word of an agent with all that its messages could carry."""
    words: dict[str, Any] = {**_MESSAGES, LINK: link.AgentEnvelope, BULK: link.BulkChunk}
    return {word: frozenset(_paths(kind.DESCRIPTOR)) for word, kind in words.items()}


def knows_openness(word: str, path: str) -> bool:
    """Whether the message that this field is in says if anyone may read it."""
    within, _, _ = path.rpartition(".")
    return (f"{within}.is_open" if within else "is_open") in schema()[word]


def places(kind: str, field: str) -> list[tuple[str, str]]:
    """Each (word, path) at which a field of one kind of the catalogue's records (`dataset`, `file`, ...) leaves."""
    found = []
    for word, message in _MESSAGES.items():
        for path, owner in _owned(cast("Descriptor", message.DESCRIPTOR)):
            own = owner.file.package == catalogue.DESCRIPTOR.package and owner.name.lower() == kind
            if own and path.rpartition(".")[2] == field:
                found.append((word, path))
    return found


@cache
def written(word: str) -> frozenset[str]:
    """The paths of a word's text that people wrote into the catalogue: e-mail addresses in it do not leave."""
    package = catalogue.DESCRIPTOR.package
    return frozenset(
        path for path, owner in _owned(cast("Descriptor", _MESSAGES[word].DESCRIPTOR))
        if owner.file.package == package and (name := path.rpartition(".")[2]) not in _IDENTIFIERS
        and owner.fields_by_name[name].type == FieldDescriptor.TYPE_STRING
    )  # fmt: skip


class Sieve:
    """Lets through the fields of `allowed`, less the `narrowed` ones; everything else leaves empty.

    What this version does not know, it does not let through.
    """

    def __init__(self, allowed: Allowed, narrowed: Mapping[str, Mapping[str, When]] | None = None) -> None:
        self._allowed, self._narrowed = allowed, narrowed or {}

    def payload(self, word: str, data: bytes) -> tuple[bytes, Counter[str]]:
        """The payload as it may leave, and how often each path occurs in it. Raises Malformed, KeyError."""
        message = parse_bounded(_MESSAGES[word], data)
        counts = self._sifted(word, message)
        return message.SerializeToString(deterministic=True), counts

    def problem(self, message: link.Problem) -> Counter[str]:
        """Sift the reason of a refusal where it stands; its paths begin with `problem`."""
        return Counter({f"{PROBLEM}.{path}": count for path, count in self._sifted(PROBLEM, message).items()})

    def _sifted(self, word: str, message: Message) -> Counter[str]:
        message.DiscardUnknownFields()
        counts: Counter[str] = Counter()
        rules = _Rules(self._allowed.get(word, frozenset()), self._narrowed.get(word, {}), written(word))
        _walk(message, "", rules, counts)
        return counts


class _Rules(NamedTuple):
    allowed: Set[str]
    narrowed: Mapping[str, When]
    written: Set[str]


def _walk(message: Any, prefix: str, rules: _Rules, counts: Counter[str]) -> None:
    hidden = []
    for field, value in message.ListFields():
        path = prefix + field.name
        inner = field.message_type
        if inner is not None and not inner.GetOptions().map_entry:
            for each in value if field.is_repeated else (value,):
                _walk(each, path + ".", rules, counts)
        elif path not in rules.allowed or _hides(rules.narrowed.get(path), message):
            hidden.append(field.name)
        else:
            counts[path] += len(value) if field.is_repeated else 1
            if path in rules.written and not (isinstance(value, str) and value.isascii() and "@" not in value):
                _clean(message, field.name, value)
    for name in hidden:
        message.ClearField(name)


def _clean(message: Any, name: str, value: Any) -> None:
    if isinstance(value, str):
        cleaned = without_emails(value)
        if cleaned is not value:
            setattr(message, name, cleaned)
    elif any("@" in each or not each.isascii() for each in value):
        value[:] = [without_emails(each) for each in value]


def _hides(when: When | None, message: Any) -> bool:
    return when is not None and not (when is When.OPEN and message.is_open)


def _paths(descriptor: Descriptor) -> list[str]:
    return [path for path, _ in _owned(descriptor)]


def _owned(descriptor: Descriptor, prefix: str = "") -> list[tuple[str, Descriptor]]:
    found: list[tuple[str, Descriptor]] = []
    for field in descriptor.fields:
        inner = field.message_type
        if inner is not None and not inner.GetOptions().map_entry:
            found += _owned(inner, f"{prefix}{field.name}.")
        else:
            found.append((prefix + field.name, descriptor))
    return found
