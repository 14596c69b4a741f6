"""A mirror that was filled before datasets were judged by their titles and counted by their years."""

from __future__ import annotations

import pytest

from shared.catalogue import Changes, Order, Proposal, SearchQuery
from tests.integration.test_mirror import apply, dataset, fresh

pytestmark = pytest.mark.usefixtures("database")


def test_what_is_held_already_learns_its_title_and_year(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import import_module

    from django.apps import apps

    from central_portal.mirror.counting import OpenCounts
    from central_portal.mirror.models import OpenRecord
    from central_portal.mirror.searching import _search

    slug = fresh()
    rows = (
        dataset("a", "other", sample="silver"),
        dataset("b", "Silver", started=0.0, techniques=("x:a", "x:b")),
        dataset("c", started=None),
    )
    apply(slug, "", Changes((*rows, dataset("gone")), (Proposal("P1", is_open=True),), token="t:1", restart=True))
    apply(slug, "t:1", Changes(gone_datasets=("gone",), token="t:2"))
    wanted = list(OpenRecord.objects.filter(facility=slug).order_by("id").values())
    OpenRecord.objects.filter(facility=slug).update(title_words="", term_set="", year=None)
    facets = OpenCounts().facets([slug])
    assert (facets.years, facets.techniques) == ((), ())
    module = import_module("central_portal.mirror.migrations.0002_title_and_year")
    monkeypatch.setattr(module, "BATCH", 2)
    module.learn(apps, None)
    held = list(OpenRecord.objects.filter(facility=slug).order_by("id").values())
    years = {row["pid"]: (row.pop("year"), row["title_words"]) for row in held if row["kind"] == "d"}
    assert years == {"a": (2001, " other"), "b": (1970, " silver"), "c": (None, " title c"), "gone": (None, "")}
    for row in (*wanted, *held):
        row.pop("year", None)
    assert held == wanted, "and nothing else has changed"
    known = OpenCounts().facets([slug])
    assert [f.id for f in known.techniques or ()] == ["x:a", "x:b"]
    found = _search(slug, SearchQuery(text="silver", order=Order.RELEVANCE))
    assert found is not None
    assert [d.pid for d in found.page.datasets] == ["b", "a", "c"]
