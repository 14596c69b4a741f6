"""Datasets and the question that finds them. Times are POSIX seconds (UTC); sizes are bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from shared.errors import InvalidRequest
from shared.limits import LIMITS


@dataclass(frozen=True, slots=True)
class Dataset:
    """What may leave the facility about one dataset.

    `pid` is unique within the facility and stable while the file keeps its place. `started` and
    `ended` are None when the file states no time. `is_open` says that anyone may read it.
    """

    pid: str
    title: str
    proposal: str
    instrument: str
    sample: str
    definition: str
    started: float | None
    ended: float | None
    size: int
    files: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A question to a catalogue; empty fields do not narrow. `since` and `until` bound `started`.

    Raises InvalidRequest when a field is longer than the limits allow or the dates are reversed.
    """

    text: str = ""
    proposals: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    limit: int = 50
    after: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= LIMITS.page:
            raise InvalidRequest(f"A page holds 1 to {LIMITS.page} datasets.")
        if len(self.text) > 200 or len(self.after) > 512:
            raise InvalidRequest("The search text is longer than 200 characters.")
        if len(self.proposals) > 50 or len(self.instruments) > 50:
            raise InvalidRequest("At most 50 proposals and 50 instruments can be chosen.")
        if any(not p or len(p) > 100 for p in (*self.proposals, *self.instruments)):
            raise InvalidRequest("A proposal or instrument has 1 to 100 characters.")
        if self.since is not None and self.until is not None and self.since > self.until:
            raise InvalidRequest("The first date lies after the last date.")


Key = tuple[float, str]
"""Ascending by this is newest first, no time last, ties by pid."""


def key(started: float | None, pid: str) -> Key:
    """The key of a dataset with this time and pid."""
    return (-started if started is not None else float("inf"), pid)


def sort_key(dataset: Dataset) -> Key:
    """The key of a dataset."""
    return key(dataset.started, dataset.pid)


class UnreadDatasets(Sequence[Dataset]):
    """Datasets whose keys are known and whose rest is read from `rows` when somebody looks at one.

    Of the pages of a federated search most datasets are ordered and never shown. `read` never raises.
    """

    __slots__ = ("_read", "_rows", "keys")

    def __init__(self, keys: Sequence[Key], rows: Sequence[Any], read: Callable[[Any], Dataset]) -> None:
        self.keys, self._rows, self._read = keys, rows, read

    @overload
    def __getitem__(self, index: int) -> Dataset: ...
    @overload
    def __getitem__(self, index: slice) -> UnreadDatasets: ...
    def __getitem__(self, index: int | slice) -> Dataset | UnreadDatasets:
        if isinstance(index, slice):
            return UnreadDatasets(self.keys[index], self._rows[index], self._read)
        return self._read(self._rows[index])

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Dataset]:
        return map(self._read, self._rows)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page, newest first, datasets without a time last, ties by pid.

    `next` is the position after the last dataset, empty when there is no more; `complete` is false
    when part of the catalogue could not be read, and then `note` says in one sentence what.
    """

    datasets: Sequence[Dataset] = ()
    next: str = ""
    complete: bool = True
    note: str = ""

    def keys(self) -> Sequence[Key]:
        """The key of each dataset, in the page's order."""
        if isinstance(self.datasets, UnreadDatasets):
            return self.datasets.keys
        return [sort_key(dataset) for dataset in self.datasets]
