"""The folder of NeXus files: what cannot be seen is not gone, and pages hold while files come and go."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facility_agent.adapters.catalogue import nexus_folder
from facility_agent.adapters.catalogue.nexus_folder import NexusFolder, NexusFolderSettings
from facility_agent.adapters.catalogue.nexus_index import Index, pid_of
from facility_agent.plugins import Site
from facility_agent.ports.catalogue import Reader as Asker
from shared.catalogue import Order, SearchQuery
from shared.errors import InvalidRequest


class TitleReader:
    """Reads a file whose text is its start time, or nothing."""

    def read(self, path: Path) -> dict[str, Any]:
        text = path.read_text()
        return {"title": path.stem, "proposal": "P", "started": float(text) if text else None}


def put(root: Path, name: str, started: float | None) -> None:
    path = root / f"{name}.nxs"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("" if started is None else repr(started))


def titles(index: Index) -> set[str]:
    return {d.title for d in index.search(SearchQuery(limit=100), {"P"}, set()).datasets}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.needs("ordinary-user")  # root reads every folder
def test_files_below_a_folder_that_cannot_be_read_stay_known(root: Path, tmp_path: Path) -> None:
    put(root, "a/one", 1.0)
    put(root, "b/two", 2.0)
    index = Index(tmp_path / "i", root, "alpha")
    assert index.update(TitleReader()) == (2, [])
    (root / "a").chmod(0)
    try:
        (root / "b/two.nxs").unlink()
        assert index.update(TitleReader()) == (0, ["a"])
        assert titles(index) == {"one"}
    finally:
        (root / "a").chmod(0o700)
    (root / "a/one.nxs").unlink()
    assert index.update(TitleReader()) == (0, [])
    assert titles(index) == set()


def test_the_more_words_a_title_has_the_better_it_matches(root: Path, tmp_path: Path) -> None:
    class Said(TitleReader):
        def read(self, path: Path) -> dict[str, Any]:
            return {**super().read(path), "sample": "gold silver quartz"}

    for name, started in (
        ("quartz", 9.0),
        ("gold silver", 1.0),
        ("golden-silver", 2.0),
        ("none", 8.0),
        ("silver", None),
    ):
        put(root, name, started)
    index = Index(tmp_path / "i", root, "alpha")
    index.update(Said())

    def walk(text: str, limit: int, order: Order = Order.RELEVANCE) -> list[str]:
        query, found = SearchQuery(text=text, order=order, limit=limit), list[str]()
        while True:
            page = index.search(query, {"P"}, set())
            found += [d.title for d in page.datasets]
            if not page.next:
                return found
            query = replace(query, after=page.next)

    for limit in (1, 2, 3, 50):
        assert walk("gold silver", limit) == ["gold silver", "golden-silver", "silver", "quartz", "none"]
        assert walk("SILVER silver", limit) == ["gold silver", "silver", "quartz", "none", "golden-silver"]
        assert walk("gold", limit, Order.NEWEST) == ["quartz", "none", "golden-silver", "gold silver", "silver"]
        assert walk("", limit) == walk("", limit, Order.NEWEST)
    first = index.search(SearchQuery(text="gold", order=Order.RELEVANCE, limit=1), {"P"}, set()).next
    with pytest.raises(InvalidRequest):
        index.search(SearchQuery(text="gold", after=first), {"P"}, set())


def test_a_root_that_cannot_be_read_forgets_nothing(root: Path, tmp_path: Path) -> None:
    put(root, "one", 1.0)
    index = Index(tmp_path / "i", root, "alpha")
    index.update(TitleReader())
    root.rename(tmp_path / "aside")
    with pytest.raises(FileNotFoundError):
        index.update(TitleReader())
    assert titles(index) == {"one"}


def test_leaving_early_forgets_nothing(root: Path, tmp_path: Path) -> None:
    for n in range(3):
        put(root, f"f{n}", float(n))
    index = Index(tmp_path / "i", root, "alpha")
    index.update(TitleReader())
    put(root, "f3", 3.0)
    assert index.update(TitleReader(), lambda: True) == (0, [])
    assert titles(index) == {"f0", "f1", "f2"}


class HeldReader(TitleReader):
    """Holds its first file until it is let go; once closed it can read nothing, as a killed child."""

    begun, go = threading.Event(), threading.Event()
    closed = False

    def read(self, path: Path) -> dict[str, Any]:
        self.begun.set()
        assert self.go.wait(10)
        if self.closed:
            raise ValueError("reading it needs more memory than a file may cost")
        return super().read(path)

    def close(self) -> None:
        self.closed = True


async def test_stopping_while_a_file_is_read_does_not_call_it_bad(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, "one", 1.0)
    monkeypatch.setattr(nexus_folder, "Reader", HeldReader)
    catalogue = NexusFolder(NexusFolderSettings(folder=root), root, Site("alpha", tmp_path, tmp_path))
    async with catalogue:
        await asyncio.to_thread(HeldReader.begun.wait, 10)
        asyncio.get_running_loop().call_later(0.1, HeldReader.go.set)
    assert catalogue.problems() == []
    assert (await catalogue.search(SearchQuery(), Asker(proposals={"P"}))).datasets[0].title == "one"


STARTED = st.none() | st.sampled_from([0.0, 1.0, 1.5, 1e9]) | st.floats(-6e10, 2.5e11)
NAMES = st.integers(0, 400).map(str)


@settings(deadline=None, max_examples=60)
@example(
    steady={"0": 10.0, "1": 3.0, "2": 0.0}, moves=[(True, "1", 1.0), (False, "1", None), (True, "1", 5.0)], limit=1
)
@given(
    steady=st.dictionaries(NAMES, STARTED, max_size=12),
    moves=st.lists(st.tuples(st.booleans(), NAMES, STARTED), max_size=12),
    limit=st.integers(1, 4),
)
def test_paging_under_change_repeats_nothing_and_drops_nothing_steady(
    steady: dict[str, float | None], moves: list[tuple[bool, str, float | None]], limit: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        root.mkdir()
        index = Index(Path(folder) / "i", root, "alpha")
        for name, started in steady.items():
            put(root, f"s{name}", started)
        index.update(TitleReader())
        seen, query, left = [], SearchQuery(limit=limit), list(moves)
        put_again: Counter[str] = Counter()  # one that was removed and put again at another time comes again
        while True:
            page = index.search(query, {"P"}, set())
            seen += [d.pid for d in page.datasets]
            if not page.next:
                break
            query = SearchQuery(limit=limit, after=page.next)
            if left:
                add, name, started = left.pop()
                if add and not (root / f"m{name}.nxs").exists():
                    put(root, f"m{name}", started)
                    put_again[pid_of("alpha", f"m{name}.nxs")] += 1
                elif not add:
                    (root / f"m{name}.nxs").unlink(missing_ok=True)
                index.update(TitleReader())
        assert all(times <= max(1, put_again[pid]) for pid, times in Counter(seen).items())
        found = {index.get(pid, {"P"}, set()).title for pid in seen if pid in pids(index)}
        assert found >= {f"s{name}" for name in steady}


def pids(index: Index) -> set[str]:
    return {d.pid for d in index.search(SearchQuery(limit=100), {"P"}, set()).datasets}
