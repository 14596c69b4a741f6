"""Datasets and the question that finds them. Times are POSIX seconds (UTC); sizes are bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

from shared.choices import ArchiveState as ArchiveState
from shared.choices import Belonging as Belonging
from shared.choices import Order as Order
from shared.errors import InvalidRequest
from shared.limits import LIMITS


@dataclass(frozen=True, slots=True)
class Parameter:
    """A measured or set value. `value` is a number or text; `unit` is empty for none."""

    name: str
    value: float | str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """What may leave the facility about one dataset.

    `pid` is unique within the facility and stable while the file keeps its place. `started` and
    `ended` are None when the file states no time. `is_open` says that anyone may read it; `released` is when
    it became or becomes open, None when that is not known. `techniques` are terms as `shared.techniques.canonical`
    writes them, `licence` an SPDX identifier, `doi` without a resolver's address.
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
    techniques: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    doi: str = ""
    licence: str = ""
    released: float | None = None
    state: ArchiveState = ArchiveState.ONLINE


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who takes part in an open proposal, as its public record names them; never an e-mail or username."""

    name: str
    role: str = ""
    affiliation: str = ""
    orcid: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What may leave the facility about one proposal; `pid` is what datasets name as their proposal.

    `members` is given for open proposals alone.
    """

    pid: str
    title: str = ""
    summary: str = ""
    kind: str = ""
    instruments: tuple[str, ...] = ()
    started: float | None = None
    ended: float | None = None
    released: float | None = None
    doi: str = ""
    licence: str = ""
    keywords: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a dataset. `path` is relative to the dataset's root, with `/` between its parts and none of them `..`."""

    path: str
    size: int
    modified: float | None = None


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A question to a catalogue; empty fields do not narrow. `since` and `until` bound `started`.

    `techniques` are terms in their canonical spelling; a dataset with any of them, or with a narrower one, is
    found. `sample` is words that all occur in the sample. Without text the order is NEWEST.
    Raises InvalidRequest when a field is longer than the limits allow or the dates are reversed.
    """

    text: str = ""
    proposals: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    limit: int = 50
    after: str = ""
    sample: str = ""
    techniques: tuple[str, ...] = ()
    order: Order = Order.NEWEST
    belonging: Belonging = Belonging.ANY

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= LIMITS.page:
            raise InvalidRequest(f"A page holds 1 to {LIMITS.page} datasets.")
        if max(len(self.text), len(self.sample)) > 200 or len(self.after) > 512:
            raise InvalidRequest("The search text is longer than 200 characters.")
        if max(len(self.proposals), len(self.instruments), len(self.techniques)) > 50:
            raise InvalidRequest("At most 50 proposals, 50 instruments and 50 techniques can be chosen.")
        if any(not p or len(p) > 100 for p in (*self.proposals, *self.instruments)):
            raise InvalidRequest("A proposal or instrument has 1 to 100 characters.")
        if any(not t or len(t) > 200 for t in self.techniques):
            raise InvalidRequest("A technique has 1 to 200 characters.")
        if self.since is not None and self.until is not None and self.since > self.until:
            raise InvalidRequest("The first date lies after the last date.")


Key = tuple[float, str]
"""Ascending by this is newest first, no time last, ties by pid."""


def key(started: float | None, pid: str) -> Key:
    """The key of a dataset or proposal with this time and pid."""
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
    """One page in the order that was asked for: newest first, datasets without a time last, ties by pid; or the best first.

    `next` is the position after the last dataset, empty when there is no more; `complete` is false
    when part of the catalogue could not be read, and then `note` says in one sentence what. `belonging` is what the
    agent narrowed it to; ANY from one that does not know how.
    """

    datasets: Sequence[Dataset] = ()
    next: str = ""
    complete: bool = True
    note: str = ""
    belonging: Belonging = Belonging.ANY

    @property
    def records(self) -> Sequence[Dataset]:
        """The datasets: what every kind of page calls its own."""
        return self.datasets

    def keys(self) -> Sequence[Key]:
        """The key of each dataset, in the page's order."""
        if isinstance(self.datasets, UnreadDatasets):
            return self.datasets.keys
        return [sort_key(dataset) for dataset in self.datasets]

    def without(self, first: int) -> SearchPage:
        """The page without its first datasets."""
        return replace(self, datasets=self.datasets[first:])


@dataclass(frozen=True, slots=True)
class ProposalQuery:
    """A question for proposals; empty fields do not narrow. `text` is words that occur in pid, title or summary.

    `own` asks for those alone that are the person's, newest first; nobody has any without a grant.
    """

    text: str = ""
    proposals: tuple[str, ...] = ()
    limit: int = 50
    after: str = ""
    own: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= LIMITS.page:
            raise InvalidRequest(f"A page holds 1 to {LIMITS.page} proposals.")
        if len(self.text) > 200 or len(self.after) > 512:
            raise InvalidRequest("The search text is longer than 200 characters.")
        if len(self.proposals) > 50 or any(not p or len(p) > 100 for p in self.proposals):
            raise InvalidRequest("At most 50 proposals of 1 to 100 characters can be chosen.")


@dataclass(frozen=True, slots=True)
class ProposalPage:
    """One page of proposals: ascending by pid, or newest first when one's `own` were asked for.

    `next`, `complete` and `note` as in `SearchPage`.
    """

    proposals: tuple[Proposal, ...] = ()
    next: str = ""
    complete: bool = True
    note: str = ""

    @property
    def records(self) -> Sequence[Proposal]:
        """The proposals."""
        return self.proposals

    def keys(self) -> Sequence[Key]:
        """The key of each proposal, in the page's order."""
        return [key(proposal.started, proposal.pid) for proposal in self.proposals]

    def without(self, first: int) -> ProposalPage:
        """The page without its first proposals."""
        return replace(self, proposals=self.proposals[first:])


@dataclass(frozen=True, slots=True)
class FilePage:
    """One page of a dataset's files, ascending by path; `total` is how many there are in all, None when not known."""

    files: tuple[DataFile, ...] = ()
    next: str = ""
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """Open metadata that changed. `token` is where to go on; `more` says that there is more at once.

    `restart` says that this is the beginning of everything: what is not named between here and the page without
    `more` is gone. `age` is how many seconds ago the catalogue was read for it; `complete` is false while part of it
    could not be read, and then nothing is said to be gone for that part.
    """

    datasets: tuple[Dataset, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    gone_datasets: tuple[str, ...] = ()
    gone_proposals: tuple[str, ...] = ()
    token: str = ""
    more: bool = False
    restart: bool = False
    age: float = 0.0
    complete: bool = True
