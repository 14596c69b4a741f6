"""Rows read, stored and changed without Django's queries are what its queries see, on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.transaction import TransactionManagementError

from central_portal.bulk import Lock, insert_rows, lock_rows, read_rows, update_rows
from tests.databases import django_on
from tests.services import running_postgres


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql"))]
)
def rows(request: pytest.FixtureRequest, database: Path) -> Iterator[None]:
    if request.param == "sqlite":
        yield
        return
    with running_postgres() as server, django_on(server, "bulk"):
        yield


pytestmark = pytest.mark.usefixtures("rows")

NAMES = (
    "id", "facility", "verb", "person", "workspace", "body", "grant_id", "mac", "state", "created_at",
)  # fmt: skip


def order_table() -> Any:
    from central_portal.link.models import Order

    return Order


def stored(count: int, facility: str = "f") -> list[uuid.UUID]:
    keys = sorted(uuid.uuid4() for _ in range(count))
    insert_rows(
        order_table(), NAMES,
        [(key, facility, "v", 7, None if n else key, bytes(range(256)), "g", b"", "SENT", 1.5) for n, key in enumerate(keys)],
    )  # fmt: skip
    return keys


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_stored_is_what_django_would_have_stored(count: int) -> None:
    keys = stored(count)
    table = order_table()
    for n, key in enumerate(keys):
        row = table.objects.get(pk=key)
        ours = {field.attname: getattr(row, field.attname) for field in table._meta.concrete_fields}
        twin = table.objects.create(
            id=uuid.uuid4(), facility="f", verb="v", person=7, workspace=None if n else key, body=bytes(range(256)),
            grant_id="g", mac=b"", state="SENT", created_at=1.5,
        )  # fmt: skip
        twin.refresh_from_db()
        assert ours | {"id": None} == {name: getattr(twin, name) for name in ours} | {"id": None}
        assert bytes(ours["body"]) == bytes(range(256))


def test_rows_come_as_values_in_the_order_of_their_keys() -> None:
    keys = stored(5)
    update_rows(order_table(), ("problem", "workspace"), {key: ({"reason": "R\u00e9"}, key) for key in keys[1:]})
    with transaction.atomic():
        found = lock_rows(order_table(), ("id", "problem", "workspace"), [keys[4], keys[0], keys[2], keys[0]])
    assert found == [
        (keys[0], None, keys[0]),
        (keys[2], {"reason": "R\u00e9"}, keys[2]),
        (keys[4], {"reason": "R\u00e9"}, keys[4]),
    ]


def test_who_is_not_there_is_left_out_and_nobody_is_nothing() -> None:
    (key,) = stored(1)
    with transaction.atomic():
        assert lock_rows(order_table(), ("id",), [uuid.uuid4(), key], Lock.NO_KEY) == [(key,)]
        assert lock_rows(order_table(), ("id",), []) == []
    assert read_rows(order_table(), ("id",), {"id": (uuid.uuid4(),)}) == []
    update_rows(order_table(), ("state",), {})
    insert_rows(order_table(), NAMES, [])


def test_all_conditions_hold() -> None:
    here, there = stored(2, "here"), stored(1, "there")
    where = {"id": [*here, *there], "facility": ("here", "nowhere")}
    assert read_rows(order_table(), ("id",), where) == [(key,) for key in here]
    assert read_rows(order_table(), ("id",), {**where, "facility": ()}) == []


def test_locks_are_for_transactions() -> None:
    with pytest.raises(TransactionManagementError):
        lock_rows(order_table(), ("id",), stored(1))


def test_an_id_is_used_once() -> None:
    (key,) = stored(1)
    other = uuid.uuid4()
    row = ("f", "v", 7, None, b"", "g", b"", "SENT", 1.0)
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(order_table(), NAMES, [(other, *row), (key, *row)])
    assert read_rows(order_table(), ("id",), {"id": (other,)}) == []
