"""Open datasets by identifier or DOI in the mirror, at whichever facility they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import BinaryField, F, Func, IntegerField, Q, Value

from central_portal.catalogue.finding import Found
from central_portal.database import in_database
from central_portal.mirror import store
from central_portal.mirror.models import OpenRecord
from shared.wire.catalogue import decode_dataset

MOST = 20


class _Place(Func):
    """Where bytes begin in bytes, from 1; 0 for nowhere."""

    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """SQLite's."""
        return self.as_sql(compiler, connection, function="INSTR", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """PostgreSQL's, whose order of arguments is the other one."""
        turned = self.copy()
        turned.set_source_expressions(list(reversed(self.get_source_expressions())))
        return turned.as_sql(
            compiler, connection, template="POSITION(%(expressions)s)", arg_joiner=" IN ", **context
        )


class MirrorLookup:
    """Implements `catalogue.finding.OpenIndex`."""

    async def by_pid(self, slugs: Collection[str], pids: Collection[str]) -> Sequence[Found]:
        """See OpenIndex."""
        known = [pid for pid in pids if store.is_text(pid)]
        return await in_database(_found)(slugs, Q(pid__in=known)) if known else ()

    async def by_doi(self, slugs: Collection[str], doi: str) -> Sequence[Found]:
        """See OpenIndex. A scan of the records as they are written: no column has it, and few links are by DOI."""
        if not store.is_text(doi):
            return ()
        found = await in_database(_with_doi)(slugs, doi)
        return [each for each in found if each.dataset.doi.casefold() == doi.casefold()]


def _with_doi(slugs: Collection[str], doi: str) -> Sequence[Found]:
    any_of = Q()
    for spelled in {doi, doi.lower(), doi.upper()}:
        any_of |= Q(pk__in=_having(slugs, spelled.encode()))
    return _found(slugs, any_of)


def _having(slugs: Collection[str], what: bytes) -> Any:
    rows = OpenRecord.objects.filter(facility__in=slugs, kind=store.DATASET, gone=False)
    place = _Place(F("payload"), Value(what, output_field=BinaryField()))
    return rows.annotate(at=place).filter(at__gt=0).values("pk")


def _found(slugs: Collection[str], which: Q) -> list[Found]:
    rows = OpenRecord.objects.filter(which, facility__in=slugs, kind=store.DATASET, gone=False).order_by(
        "facility", "pid"
    )
    return [
        Found(slug, decode_dataset(bytes(payload)))
        for slug, payload in rows.values_list("facility", "payload")[:MOST]
    ]
