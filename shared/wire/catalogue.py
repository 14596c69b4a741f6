"""The catalogue: questions, pages and datasets on the wire."""

from __future__ import annotations

from contextlib import suppress

from shared.catalogue import Dataset, SearchPage, SearchQuery
from shared.commands import GetDataset
from shared.errors import InvalidRequest
from shared.limits import LIMITS
from shared.wire import text
from shared.wire.gen.parasol.catalogue.v1 import catalogue_pb2 as pb
from shared.wire.parse import parse
from shared.wire.raw import split
from shared.wire.text import Malformed

_QUESTION_BYTES = 64 * 1024
_PAGE_BYTES = 2 * 1024 * 1024
_DATASET_BYTES = 64 * 1024
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
        datasets=[_message(dataset) for dataset in value.datasets],
        next=value.next,
        complete=value.complete,
        note=value.note,
    ).SerializeToString()


def decode_page(data: bytes) -> SearchPage:
    """The payload, cleaned. A dataset with an unusable identifier is left out and the page says so.

    Raises Malformed, also for more datasets than a page may hold.
    """
    if len(data) > _PAGE_BYTES:
        raise Malformed(f"A page is larger than {_PAGE_BYTES} bytes.")
    found, rest = split(data, pb.Page.DATASETS_FIELD_NUMBER, 2 * LIMITS.page)
    if len(found) > LIMITS.page:
        raise Malformed(f"A page has more than {LIMITS.page} datasets.")
    datasets: list[Dataset] = []
    for piece in found:
        with suppress(Malformed):
            datasets.append(decode_dataset(piece))
    page = parse(pb.Page, rest, _PAGE_BYTES)
    note = text.plain(page.note, text.SENTENCE)
    if len(datasets) < len(found):
        return SearchPage(tuple(datasets), _position(page.next), complete=False, note=note or _LEFT_OUT)
    return SearchPage(tuple(datasets), _position(page.next), page.complete, note)


def encode_dataset(value: Dataset) -> bytes:
    """The bytes of the payload. Raises ValueError for what the wire cannot hold."""
    return _message(value).SerializeToString()


def decode_dataset(data: bytes) -> Dataset:
    """The payload, cleaned. Raises Malformed when its identifier cannot be used."""
    message = parse(pb.Dataset, data, _DATASET_BYTES)
    return Dataset(
        pid=text.identifier(message.pid, text.PID),
        title=text.plain(message.title),
        proposal=text.optional_identifier(message.proposal),
        instrument=text.plain(message.instrument, text.IDENTIFIER),
        sample=text.plain(message.sample),
        definition=text.plain(message.definition, text.IDENTIFIER),
        started=text.instant(message.started) if message.HasField("started") else None,
        ended=text.instant(message.ended) if message.HasField("ended") else None,
        size=text.count(message.size),
        files=text.count(message.files),
        is_open=message.is_open,
    )


def _message(value: Dataset) -> pb.Dataset:
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
    )


def _bound(seconds: float) -> float:
    if text.instant(seconds) is None:
        raise InvalidRequest("A date lies outside the years 1 to 9999.")
    return seconds


def _position(after: str) -> str:
    return text.optional_identifier(after, 512)
