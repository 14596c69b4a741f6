"""Many rows of one table read or changed at once, by their keys: statements built once, sent for all rows together.

Not queries of Django's: to build one costs several times what the database does for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Field, Model
from django.db.transaction import TransactionManagementError


class Lock(StrEnum):
    """What keeps others from a row until the transaction ends. SQLite has one writer, and needs none."""

    UPDATE = "FOR UPDATE"
    NO_KEY = "FOR NO KEY UPDATE"
    """Others may still insert rows that refer to it."""


def lock_rows(
    model: type[Model], names: Sequence[str], keys: Iterable[Any], lock: Lock = Lock.UPDATE
) -> list[tuple[Any, ...]]:
    """The columns `names` of those of these primary keys that exist, locked in the order of their keys.

    Needs a transaction.
    """
    if connection.get_autocommit():
        raise TransactionManagementError("rows are locked in a transaction")
    meta: Any = model._meta
    return _read(model, names, {meta.pk.name: sorted(set(keys))}, lock.value)


def read_rows(
    model: type[Model], names: Sequence[str], where: Mapping[str, Collection[Any]]
) -> list[tuple[Any, ...]]:
    """The columns `names` of the rows whose columns have one of these values each, in the order of their keys."""
    return _read(model, names, where, "")


def insert_rows(model: type[Model], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Store rows that bring their keys; other columns get their defaults. Raises IntegrityError."""
    sql, fields, rest = _insertion(connection.vendor, model, tuple(names))
    defaults = [field.get_default() for field in rest]
    _execute(sql, [_values((*fields, *rest), (*row, *defaults)) for row in rows])


def update_rows(model: type[Model], names: Sequence[str], rows: Mapping[Any, Sequence[Any]]) -> None:
    """Set the columns `names` of the rows with these primary keys."""
    sql, fields = _statement(connection.vendor, model, tuple(names))
    _execute(sql, [_values(fields, (*values, key)) for key, values in rows.items()])


def _execute(sql: str, rows: Sequence[Sequence[Any]]) -> None:
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(sql, rows[0])  # a pipeline for one statement costs a round trip more
        elif rows:
            cursor.executemany(sql, rows)


def _read(
    model: type[Model], names: Sequence[str], where: Mapping[str, Collection[Any]], lock: str
) -> list[tuple[Any, ...]]:
    if not all(where.values()):
        return []
    sql, converters, fields = _selection(connection.vendor, model, tuple(names), tuple(where))
    marks = [", ".join(["%s"] * len(values)) for values in where.values()]
    tail = lock if connection.features.has_select_for_update else ""
    given = [
        field.get_db_prep_value(value, connection)
        for field, values in zip(fields, where.values(), strict=True)
        for value in values
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"{sql.format(*marks)} {tail}", given)
        rows = cursor.fetchall()
    return [tuple(convert(value) for convert, value in zip(converters, row, strict=True)) for row in rows]


@cache
def _selection(
    vendor: str, model: type[Model], names: tuple[str, ...], where: tuple[str, ...]
) -> tuple[str, tuple[Callable[[Any], Any], ...], tuple[Field[Any, Any], ...]]:
    meta: Any = model._meta  # its published types do not tell columns from relations
    quote = connection.ops.quote_name
    fields, chosen = ([meta.get_field(name) for name in some] for some in (names, where))
    columns = ", ".join(quote(field.column) for field in fields)
    conditions = " AND ".join(f"{quote(field.column)} IN ({{}})" for field in chosen)
    sql = f"SELECT {columns} FROM {quote(meta.db_table)} WHERE {conditions} ORDER BY {quote(meta.pk.column)}"  # noqa: S608 (our own names)
    return sql, tuple(map(_converter, fields)), tuple(chosen)


@cache
def _insertion(
    vendor: str, model: type[Model], names: tuple[str, ...]
) -> tuple[str, tuple[Field[Any, Any], ...], tuple[Field[Any, Any], ...]]:
    meta: Any = model._meta
    quote = connection.ops.quote_name
    fields = tuple(meta.get_field(name) for name in names)
    rest = tuple(field for field in meta.concrete_fields if field not in fields)
    columns = ", ".join(quote(field.column) for field in (*fields, *rest))
    marks = ", ".join(["%s"] * len((*fields, *rest)))
    sql = f"INSERT INTO {quote(meta.db_table)} ({columns}) VALUES ({marks})"  # noqa: S608 (our own names)
    return sql, fields, rest


def _converter(field: Field[Any, Any]) -> Callable[[Any], Any]:
    """From what the database's driver gives to what the field holds."""
    column: Any = field.get_col(field.model._meta.db_table)
    steps = [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]

    def convert(value: Any) -> Any:
        for step in steps:
            value = step(value, column, connection)
        return value

    return convert


@cache
def _statement(vendor: str, model: type[Model], names: tuple[str, ...]) -> tuple[str, tuple[Field[Any, Any], ...]]:
    meta: Any = model._meta
    quote = connection.ops.quote_name
    fields = [meta.get_field(name) for name in names]
    marks = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    key = meta.pk
    sql = f"UPDATE {quote(meta.db_table)} SET {marks} WHERE {quote(key.column)} = %s"  # noqa: S608 (our own names)
    return sql, (*fields, key)


def _values(fields: Sequence[Field[Any, Any]], values: Iterable[Any]) -> list[Any]:
    return [field.get_db_prep_save(value, connection) for field, value in zip(fields, values, strict=True)]
