"""The rows of the mirror: applying what an agent sent, and reading it back. Runs in the database's threads."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Collate

from central_portal.database import DatabaseClock
from central_portal.mirror.models import MirroredFacility, OpenRecord
from shared.catalogue import Changes, Dataset, Proposal
from shared.wire.catalogue import decode_dataset, encode_dataset
from shared.wire.proposals import decode_proposal, encode_proposal

DATASET, PROPOSAL = "d", "p"
NO_TIME = 1e300
SETTLED = 1.0
"""Seconds after which no earlier change can appear: far more than a transaction of the mirror takes."""
KEPT = 90 * 86_400.0
"""How long a tombstone stays, in seconds."""
_FOUND_BY = ("proposal", "instrument", "sample", "terms", "words", "sample_words", "title_words", "term_set")
_FIELDS = ("generation", "changed_at", "gone", "rank", "year", *_FOUND_BY, "payload")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a facility's mirror stands. `age` is how many seconds ago its catalogue was read, None for never."""

    facility: str
    age: float | None
    complete: bool


def token(slug: str) -> str:
    """Where to go on; empty for the beginning."""
    known = MirroredFacility.objects.filter(slug=slug).values_list("token", flat=True).first()
    return known or ""


@transaction.atomic
def apply(slug: str, since: str, changes: Changes) -> bool:
    """Take in the answer to `since`; False, and nothing is done, when another process has gone on from there.

    What a new beginning has not named by its last page, or later, is gone once the catalogue could be read whole.
    """
    MirroredFacility.objects.get_or_create(slug=slug)
    state = MirroredFacility.objects.select_for_update().annotate(now=DatabaseClock()).get(slug=slug)
    if state.token != since:
        return False
    now: float = state.now
    if changes.datasets or changes.gone_datasets or changes.restart or state.restarting:
        state.edition += 1
    if changes.restart:
        state.generation, state.restarting = state.generation + 1, True
    _put(slug, state.generation, now, changes)
    mine = OpenRecord.objects.filter(facility=slug, gone=False)
    for kind, pids in ((DATASET, changes.gone_datasets), (PROPOSAL, changes.gone_proposals)):
        _bury(mine.filter(kind=kind, pid__in=pids), now)
    state.token = changes.token
    if not changes.more:
        if state.restarting and changes.complete:
            _bury(mine.filter(generation__lt=state.generation), now)
            state.restarting = False
        OpenRecord.objects.filter(facility=slug, gone=True, changed_at__lt=now - KEPT).delete()
        state.read_at, state.complete = now - changes.age, changes.complete
    state.save()
    return True


def is_text(text: str) -> bool:
    """Whether a database can hold or compare it: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _put(slug: str, generation: int, now: float, changes: Changes) -> None:
    """What is as it was keeps its time: an agent that begins anew is no news to a harvester."""
    rows = {(DATASET, d.pid): _of_dataset(d) for d in changes.datasets}
    rows |= {(PROPOSAL, p.pid): OpenRecord(payload=encode_proposal(p)) for p in changes.proposals}
    held = OpenRecord.objects.filter(facility=slug, gone=False, pid__in={pid for _, pid in rows})
    before = {
        (kind, pid): (bytes(payload), at)
        for kind, pid, payload, at in held.values_list("kind", "pid", "payload", "changed_at")
    }
    for (kind, pid), row in rows.items():
        payload, at = before.get((kind, pid), (b"", now))
        row.changed_at = at if payload == row.payload else now
        row.facility, row.kind, row.pid, row.generation = slug, kind, pid, generation
    OpenRecord.objects.bulk_create(
        rows.values(), update_conflicts=True, unique_fields=["facility", "kind", "pid"], update_fields=_FIELDS
    )


def rank_of(started: float | None) -> float:
    """Ascending by this and pid is `shared.catalogue.sort_key`."""
    return NO_TIME if started is None else -started


def year_of(started: float | None) -> int | None:
    """The calendar year of an instant, in UTC."""
    return None if started is None else datetime.fromtimestamp(started, UTC).year


def by_code_point(name: str) -> Combinable:
    """A text column in the order that Python has: PostgreSQL's own depends on its locale."""
    return Collate(F(name), "C") if connection.vendor == "postgresql" else F(name)


def folded(text: str) -> str:
    """Words for comparison, a space before each."""
    return "".join(f" {word}" for word in text.casefold().split())


def term_set(terms: str) -> str:
    """What tells one set of techniques from another in 32 characters; empty for none."""
    return hashlib.blake2b(terms.encode(), digest_size=16).hexdigest() if terms else ""


def _of_dataset(dataset: Dataset) -> OpenRecord:
    terms = "\n".join(("", *dataset.techniques, "")) if dataset.techniques else ""
    return OpenRecord(
        proposal=dataset.proposal, instrument=dataset.instrument, sample=dataset.sample, terms=terms,
        term_set=term_set(terms), payload=encode_dataset(dataset),
        rank=rank_of(dataset.started), year=year_of(dataset.started),
        sample_words=folded(dataset.sample), title_words=folded(dataset.title),
        words=folded(f"{dataset.title} {dataset.proposal} {dataset.instrument} {dataset.sample} {dataset.definition}"),
    )  # fmt: skip


def _bury(rows: object, now: float) -> None:
    rows.update(gone=True, changed_at=now, payload=b"", **dict.fromkeys(_FOUND_BY, ""))  # type: ignore[attr-defined]


def standings(slugs: Collection[str]) -> list[Standing]:
    """How these facilities' mirrors stand, by slug; one never read has no age."""
    rows = MirroredFacility.objects.filter(slug__in=slugs).annotate(now=DatabaseClock())
    known = {
        row.slug: Standing(
            row.slug, None if row.read_at is None else max(0.0, row.now - row.read_at), row.complete
        )
        for row in rows
    }
    return [known.get(slug, Standing(slug, None, complete=False)) for slug in sorted(slugs)]


@dataclass(frozen=True, slots=True)
class Change:
    """An open dataset and when the mirror learned of its last change; None for one that is gone."""

    facility: str
    pid: str
    changed_at: float
    place: int
    dataset: Dataset | None


def changed(
    slugs: Collection[str], since: float | None, after: tuple[float, int], most: int
) -> tuple[list[Change], int]:
    """Datasets in the order of (time, place) after a point of it, and how many are open in all (or changed since).

    What is younger than `SETTLED` comes later: a transaction still open might commit an earlier time.
    """
    rows = OpenRecord.objects.filter(kind=DATASET, facility__in=slugs)
    if since is not None:
        rows = rows.filter(changed_at__gte=since)
    settled = rows.annotate(now=DatabaseClock()).filter(changed_at__lte=F("now") - SETTLED)
    at, place = after
    later = settled.filter(Q(changed_at__gt=at) | Q(changed_at=at, id__gt=place)).order_by("changed_at", "id")
    found = [
        Change(
            row.facility, row.pid, row.changed_at, row.id, None if row.gone else decode_dataset(bytes(row.payload))
        )
        for row in later[:most]
    ]
    return found, rows.filter(gone=False).count()


def datasets(slug: str, after: str, most: int, **having: object) -> list[Dataset]:
    """Open datasets of a facility by pid, after one; `having` are lookups of `OpenRecord`."""
    return [decode_dataset(payload) for payload in _payloads(slug, DATASET, after, most, having)]


def proposals(slug: str, after: str, most: int, **having: object) -> list[Proposal]:
    """Open proposals of a facility by pid, likewise."""
    return [decode_proposal(payload) for payload in _payloads(slug, PROPOSAL, after, most, having)]


def _payloads(slug: str, kind: str, after: str, most: int, having: dict[str, object]) -> Iterator[bytes]:
    rows = OpenRecord.objects.filter(facility=slug, kind=kind, gone=False, pid__gt=after, **having)
    return map(bytes, rows.order_by("pid").values_list("payload", flat=True)[:most])


def instruments(slug: str) -> Sequence[str]:
    """The instruments of a facility's open datasets, sorted."""
    rows = OpenRecord.objects.filter(facility=slug, kind=DATASET, gone=False).exclude(instrument="")
    return list(rows.order_by("instrument").values_list("instrument", flat=True).distinct())
