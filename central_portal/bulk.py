"""Many rows of one table changed at once: one statement, prepared once and sent for all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Field, Model


def update_rows(model: type[Model], names: Sequence[str], rows: Mapping[Any, Sequence[Any]]) -> None:
    """Set the columns `names` of the rows with these primary keys. Not a query of Django's: that costs 0.2 ms a row."""
    if not rows:
        return
    sql, fields = _statement(connection.vendor, model, tuple(names))
    with connection.cursor() as cursor:
        cursor.executemany(sql, [_values(fields, (*values, key)) for key, values in rows.items()])


@cache
def _statement(vendor: str, model: type[Model], names: tuple[str, ...]) -> tuple[str, tuple[Field[Any, Any], ...]]:
    meta: Any = model._meta  # its published types do not tell columns from relations
    quote = connection.ops.quote_name
    fields = [meta.get_field(name) for name in names]
    marks = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    key = meta.pk
    sql = f"UPDATE {quote(meta.db_table)} SET {marks} WHERE {quote(key.column)} = %s"  # noqa: S608 (our own names)
    return sql, (*fields, key)


def _values(fields: Sequence[Field[Any, Any]], values: Iterable[Any]) -> list[Any]:
    return [field.get_db_prep_save(value, connection) for field, value in zip(fields, values, strict=True)]
