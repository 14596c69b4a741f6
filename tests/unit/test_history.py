"""The history checker finds each fault, and no other."""

from __future__ import annotations

import pytest

from tests.history import Entry, faults, read


def history(*words: str, epoch: int = 1) -> list[Entry]:
    return [Entry("o", what, epoch, "x", float(at)) for at, what in enumerate(words)]


GOOD = [
    ("ORDERED", "EFFECT", "SETTLED OK", "ACKNOWLEDGED"),
    ("ORDERED", "SETTLED OK", "ACKNOWLEDGED", "EFFECT"),
    ("ORDERED", "SETTLED OK", "CANCELLED"),
    ("ORDERED", "SETTLED REFUSED"),
    ("CANCELLED", "ORDERED", "SETTLED CANCELLED"),
    ("ORDERED", "CANCELLED"),
    ("ORDERED", "EXPIRED"),
    ("ORDERED", "STORED", "ACCEPTED", "EFFECT", "SETTLED ENDED"),
]
BAD = [
    ("2 effects", ("ORDERED", "EFFECT", "EFFECT", "SETTLED OK")),
    ("an effect that nobody ordered", ("EFFECT",)),
    ("not started", ("ORDERED", "CANCELLED", "EFFECT", "SETTLED CANCELLED")),
    ("not started", ("ORDERED", "EFFECT", "CANCELLED", "SETTLED OK")),
    ("expired, and", ("ORDERED", "EXPIRED", "EFFECT")),
    ("ended 2 times", ("ORDERED", "EFFECT", "SETTLED OK", "SETTLED ENDED")),
    ("refused, and", ("ORDERED", "EFFECT", "SETTLED REFUSED")),
    ("ended 2 times", ("ORDERED", "EXPIRED", "SETTLED REFUSED")),
    ("before its result", ("ORDERED", "ACKNOWLEDGED", "SETTLED REFUSED")),
    ("before it was stored", ("ORDERED", "ACCEPTED", "STORED", "SETTLED ENDED")),
    ("never ended", ("ORDERED", "STORED")),
    ("without an effect", ("ORDERED", "SETTLED OK")),
]


@pytest.mark.parametrize("words", GOOD)
def test_a_good_life_has_no_fault(words: tuple[str, ...]) -> None:
    assert list(faults(history(*words))) == []


@pytest.mark.parametrize(("sentence", "words"), BAD)
def test_a_fault_is_named(sentence: str, words: tuple[str, ...]) -> None:
    (fault,) = faults(history(*words))
    assert fault.startswith("o: ")
    assert sentence in fault


def test_what_is_under_way_is_no_fault_before_everything_healed() -> None:
    for words in (("ORDERED", "STORED"), ("ORDERED", "SETTLED OK")):
        assert list(faults(history(*words), healed=False)) == []


def test_epochs_rise_for_each_who() -> None:
    opened = [
        Entry("", "EPOCH", epoch, who, 0.0) for who, epoch in (("a", 2), ("b", 1), ("a", 3), ("a", 3), ("b", 2))
    ]
    assert list(faults(opened)) == ["a: epoch 3 after 3"]


def test_files_are_read_by_time_and_a_bad_line_is_refused() -> None:
    entries = history("ORDERED", "EFFECT", "SETTLED OK")
    assert read([entry.line() for entry in reversed(entries)] + ["", " \n"]) == entries
    for line in ("{", "[]", '{"order_id": "o"}', '{"order_id": "o", "who": 1, "x": 1}'):
        with pytest.raises(ValueError):
            read([line])


def test_a_write_of_an_epoch_that_is_over_is_a_fault_where_order_is_exact() -> None:
    entries = [
        Entry("o", "ORDERED", 0, "centre", 0.0),
        Entry("", "EPOCH", 2, "centre", 1.0),
        Entry("o", "SETTLED REFUSED", 1, "centre", 2.0),
    ]
    assert list(faults(entries)) == []
    assert list(faults(entries, exact=True)) == ["o: settled in epoch 1, when 2 had begun"]
