"""The catalogue: questions, pages and datasets on the wire. Its proposals, files and changes have modules of their own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from google.protobuf.message import DecodeError

from shared.catalogue import (
    ArchiveState,
    Belonging,
    Dataset,
    Key,
    Order,
    Parameter,
    SearchPage,
    SearchQuery,
    UnreadDatasets,
    key,
)
from shared.commands import GetDataset
from shared.errors import InvalidRequest
from shared.limits import LIMITS
from shared.techniques import LONGEST
from shared.wire import text
from shared.wire.gen.parasol.catalogue.v1 import catalogue_pb2 as pb
from shared.wire.parse import parse
from shared.wire.raw import at_most, split
from shared.wire.text import Malformed

_QUESTION_BYTES = 64 * 1024
_PAGE_BYTES = 2 * 1024 * 1024
DATASET_BYTES = 64 * 1024
_LISTED = 50
_PARAMETERS = 100
_TAGS = 16 * LIMITS.page  # bytes that look like the tag of a dataset, its own pid's among them
_LEFT_OUT = "Some datasets were left out because their identifiers cannot be shown."


def encode_query(value: SearchQuery) -> bytes:
    """The bytes of the parameters."""
    return pb.Search(
        text=value.text,
        proposals=value.proposals,
        instruments=value.instruments,
        since=value.since,
        until=value.until,
        limit=value.limit,
        after=value.after,
        sample=value.sample,
        techniques=value.techniques,
        order=value.order.value if value.order is not Order.NEWEST else "",
        belonging=_belonging_text(value.belonging),
    ).SerializeToString()


def decode_query(data: bytes) -> SearchQuery:
    """The parameters. Raises InvalidRequest or Malformed; a time that is none is refused, not dropped."""
    message = parse(pb.Search, data, _QUESTION_BYTES)
    return SearchQuery(
        text=text.plain(message.text, 201),  # one more than allowed, so that what is too long stays so
        proposals=tuple(message.proposals),
        instruments=tuple(message.instruments),
        since=_bound(message.since) if message.HasField("since") else None,
        until=_bound(message.until) if message.HasField("until") else None,
        limit=message.limit,
        after=message.after,
        sample=text.plain(message.sample, 201),
        techniques=tuple(message.techniques),
        order=_order(message.order),
        belonging=_belonging(message.belonging),
    )


def encode_get(value: GetDataset) -> bytes:
    """The bytes of the parameters."""
    return pb.Get(pid=value.pid).SerializeToString()


def decode_get(data: bytes) -> GetDataset:
    """The parameters. Raises Malformed."""
    return GetDataset(text.identifier(parse(pb.Get, data, _QUESTION_BYTES).pid, text.PID))


def encode_page(value: SearchPage) -> bytes:
    """The bytes of the payload. Raises ValueError for what the wire cannot hold."""
    return pb.Page(
        datasets=[dataset_message(dataset) for dataset in value.datasets],
        next=value.next,
        complete=value.complete,
        note=value.note,
        belonging=_belonging_text(value.belonging),
    ).SerializeToString()


def decode_page(data: bytes) -> SearchPage:
    """The payload. A dataset with an unusable identifier is left out and the page says so.

    Every dataset is judged and its key read at once; it is cleaned when somebody looks at it.
    Raises Malformed, also for more datasets than a page may hold.
    """
    if len(data) > _PAGE_BYTES:
        raise Malformed(f"A page is larger than {_PAGE_BYTES} bytes.")
    page, found, broken = _rows(data)
    if len(found) > LIMITS.page:
        raise Malformed(f"A page has more than {LIMITS.page} datasets.")
    rows = found if _all_usable(found) else [row for row in found if usable(row)]
    keys = _keys(rows)
    datasets, note = UnreadDatasets(keys, rows, read_dataset), text.plain(page.note, text.SENTENCE)
    belonging = _narrowed_to(page.belonging)
    if broken or len(rows) < len(found):
        note = note or _LEFT_OUT
        return SearchPage(datasets, position(page.next), complete=False, note=note, belonging=belonging)
    return SearchPage(datasets, position(page.next), page.complete, note, belonging)


def _rows(data: bytes) -> tuple[pb.Page, Sequence[pb.Dataset], bool]:
    """The page, its datasets, and whether some of them could not be read."""
    number = pb.Page.DATASETS_FIELD_NUMBER
    if len(data) <= DATASET_BYTES and at_most(data, number, _TAGS):
        with suppress(DecodeError):
            page = pb.Page.FromString(data)
            return page, list(page.datasets), False
    # Too large to be made in one piece, or a dataset is broken and costs itself alone.
    found, rest = split(data, number, 2 * LIMITS.page)
    if len(found) > LIMITS.page:
        raise Malformed(f"A page has more than {LIMITS.page} datasets.")
    rows: list[pb.Dataset] = []
    for piece in found:
        with suppress(Malformed):
            rows.append(parse(pb.Dataset, piece, DATASET_BYTES))
    return parse(pb.Page, rest, _PAGE_BYTES), rows, len(rows) < len(found)


def encode_dataset(value: Dataset) -> bytes:
    """The bytes of the payload. Raises ValueError for what the wire cannot hold."""
    return dataset_message(value).SerializeToString()


def decode_dataset(data: bytes) -> Dataset:
    """The payload, cleaned. Raises Malformed when its identifier cannot be used."""
    message = parse(pb.Dataset, data, DATASET_BYTES)
    if not usable(message):
        raise Malformed("A dataset has identifiers that cannot be shown.")
    return read_dataset(message)


def usable(message: pb.Dataset) -> bool:
    """Whether its identifiers can be used."""
    proposal = message.proposal
    return text.is_identifier(message.pid, text.PID) and (not proposal or text.is_identifier(proposal))


def _all_usable(messages: Sequence[pb.Dataset]) -> bool:
    pids = [message.pid for message in messages]
    proposals = {message.proposal for message in messages} - {""}
    return text.are_identifiers(pids, text.PID) and text.are_identifiers(proposals)


def read_dataset(message: pb.Dataset) -> Dataset:
    """A usable dataset, cleaned."""
    return Dataset(
        pid=message.pid,
        title=text.plain(message.title),
        proposal=message.proposal,
        instrument=text.plain(message.instrument, text.IDENTIFIER),
        sample=text.plain(message.sample),
        definition=text.plain(message.definition, text.IDENTIFIER),
        started=_started(message),
        ended=text.instant(message.ended) if message.ended or message.HasField("ended") else None,
        size=text.count(message.size),
        files=text.count(message.files),
        is_open=message.is_open,
        techniques=terms(message.techniques),
        keywords=words(message.keywords),
        parameters=_parameters(message.parameters),
        doi=text.plain(message.doi),
        licence=text.plain(message.licence, text.IDENTIFIER),
        released=text.instant(message.released) if message.HasField("released") else None,
        state=_state(message.state),
    )


def terms(values: Sequence[str]) -> tuple[str, ...]:
    """The first terms of techniques that can be shown."""
    return tuple(value for value in values[:_LISTED] if text.is_identifier(value, LONGEST)) if values else ()


def words(values: Sequence[str]) -> tuple[str, ...]:
    """The first words of a list, cleaned; empty ones are left out."""
    return tuple(w for w in (text.plain(v, text.IDENTIFIER) for v in values[:_LISTED]) if w) if values else ()


def _parameters(messages: Sequence[pb.Parameter]) -> tuple[Parameter, ...]:
    """The first parameters that have a name and a value."""
    return tuple(
        Parameter(
            name, message.number if kind == "number" else text.plain(message.text), text.plain(message.unit, 50)
        )
        for message in messages[:_PARAMETERS]
        if (kind := message.WhichOneof("value")) and (name := text.plain(message.name, text.IDENTIFIER))
    )


def _state(value: str) -> ArchiveState:
    """Nothing said means ONLINE; what this version does not know is UNKNOWN."""
    if not value:
        return ArchiveState.ONLINE
    return ArchiveState(value) if value in ArchiveState.__members__ else ArchiveState.UNKNOWN


def _order(value: str) -> Order:
    if not value:
        return Order.NEWEST
    if value not in Order.__members__:
        raise InvalidRequest("Datasets are sorted by NEWEST or RELEVANCE.")
    return Order(value)


def _belonging_text(value: Belonging) -> str:
    return value.value if value is not Belonging.ANY else ""


def _belonging(value: str) -> Belonging:
    if not value:
        return Belonging.ANY
    if value not in Belonging.__members__:
        raise InvalidRequest("Datasets are narrowed to OWN or OPEN.")
    return Belonging(value)


def _narrowed_to(value: str) -> Belonging:
    """What this version does not know is not what it asked for."""
    return Belonging(value) if value in Belonging.__members__ else Belonging.ANY


def _keys(messages: Sequence[pb.Dataset]) -> list[Key]:
    """The `key` of each, without a call for most of them."""
    first, last = text.EARLIEST, text.LATEST
    return [
        (-seconds, message.pid)
        if (seconds := message.started) and first <= seconds <= last
        else key(_started(message), message.pid)
        for message in messages
    ]


def _started(message: pb.Dataset) -> float | None:
    seconds = message.started
    return text.instant(seconds) if seconds or message.HasField("started") else None


def dataset_message(value: Dataset) -> pb.Dataset:
    """The dataset as it is sent. Raises ValueError for what the wire cannot hold."""
    return pb.Dataset(
        pid=value.pid,
        title=value.title,
        proposal=value.proposal,
        instrument=value.instrument,
        sample=value.sample,
        definition=value.definition,
        started=value.started,
        ended=value.ended,
        size=value.size,
        files=value.files,
        is_open=value.is_open,
        techniques=value.techniques,
        keywords=value.keywords,
        parameters=[_parameter(parameter) for parameter in value.parameters],
        doi=value.doi,
        licence=value.licence,
        released=value.released,
        state=value.state.value if value.state is not ArchiveState.ONLINE else "",
    )


def _parameter(value: Parameter) -> pb.Parameter:
    if isinstance(value.value, str):
        return pb.Parameter(name=value.name, text=value.value, unit=value.unit)
    return pb.Parameter(name=value.name, number=value.value, unit=value.unit)


def _bound(seconds: float) -> float:
    if text.instant(seconds) is None:
        raise InvalidRequest("A date lies outside the years 1 to 9999.")
    return seconds


def position(after: str) -> str:
    """A position in a catalogue. Raises Malformed."""
    return text.optional_identifier(after, 512)
