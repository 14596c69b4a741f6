"""What holds for every answer of every catalogue, whatever is in it: shared by the contract suite and by probes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import pairwise
from typing import Any

from shared.catalogue import (
    Dataset,
    FilePage,
    Order,
    Proposal,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
    sort_key,
)
from shared.wire.catalogue import decode_dataset, encode_dataset
from shared.wire.emails import without_emails
from shared.wire.proposals import decode_proposal, encode_proposal

STRANGE = (
    "'; drop table file; --", '" or ""="', "* OR 1=1", "pid:*", "NEAR(a b)", 'a" AND "b', "a AND", "NOT", "-x", "^x", "(",
    ")", "{", "%", "_", "\\", "\0", "a\0b", "\n", "\ud800", "${jndi:ldap://x}", "{{7*7}}", "<script>", "../../etc/passwd",
    "/", "..", "text:x", ";", "''", '"', "ﬀ", "🦄" * 50, "a " * 99, "\u202eabc",
)  # fmt: skip
"""Text that some system took for more than text."""
SHARP = ("'; drop table file; --", '" or ""="', "%", "\\", "\0", "\ud800", "* OR 1=1", "${jndi:ldap://x}")
"""The ones of them that are tried in every filter of an unknown catalogue."""


def of_page(page: SearchPage, query: SearchQuery, *, everybody: bool = False) -> Iterator[str]:
    """What is wrong with a page of datasets; `everybody` says that a stranger was answered."""
    pids = [dataset.pid for dataset in page.datasets]
    if len(pids) > query.limit:
        yield f"A page of {query.limit} has {len(pids)} datasets."
    if len(set(pids)) < len(pids):
        yield "A page has the same dataset twice."
    if page.next and not pids:
        yield "A page is empty and has a next one."
    if query.order is Order.NEWEST and list(page.datasets) != sorted(page.datasets, key=sort_key):
        yield "A page is not in the order of times, the newest first."
    if everybody and (hidden := next((d for d in page.datasets if not d.is_open), None)):
        yield f"Anyone is shown {hidden.pid!r}, which is not open."


def of_own(page: SearchPage, proposals: Set[str]) -> Iterator[str]:
    """What is wrong with a page of one's own, for somebody to whom the rules give these proposals."""
    for dataset in page.datasets:
        if proposals and dataset.proposal not in proposals:
            yield f"{dataset.pid!r} is shown as the person's own, whose proposal the rules do not give."
        if not proposals and dataset.is_open:
            yield f"{dataset.pid!r} is shown as the person's own, and is anyone's."


def of_pages(whole: Sequence[str], pages: Sequence[Sequence[str]], *, ended: bool) -> Iterator[str]:
    """What is wrong with pids that were read page by page, when at once they are `whole`; `ended`: there is no more."""
    joined = [pid for page in pages for pid in page]
    if len(set(joined)) < len(joined):
        twice = next(pid for pid in joined if joined.count(pid) > 1)
        yield f"Page by page {twice!r} is found twice."
    elif joined[: len(whole)] != list(whole[: len(joined)]) or (ended and len(joined) < len(whole)):
        yield "Page by page other datasets are found than at once, or in another order."


def of_files(page: FilePage, limit: int) -> Iterator[str]:
    """What is wrong with a page of files."""
    paths = [file.path for file in page.files]
    if len(paths) > limit:
        yield f"A page of {limit} has {len(paths)} files."
    if any(later <= earlier for earlier, later in pairwise(paths)):
        yield "A page of files is not in the order of paths, or has one twice."
    if bad := next((path for path in paths if {"", ".", ".."} & set(path.split("/"))), None):
        yield f"The path {bad!r} is not one below the dataset's root."
    if page.total is not None and page.total < len(paths):
        yield f"A dataset is said to have {page.total} files and lists {len(paths)}."


def of_proposals(page: ProposalPage, query: ProposalQuery, *, everybody: bool = False) -> Iterator[str]:
    """What is wrong with a page of proposals; `everybody` as in `of_page`."""
    pids = [proposal.pid for proposal in page.proposals]
    if len(pids) > query.limit:
        yield f"A page of {query.limit} has {len(pids)} proposals."
    if any(later <= earlier for earlier, later in pairwise(pids)):
        yield "A page of proposals is not in the order of their names, or has one twice."
    if told := next((p for p in page.proposals if p.members and not p.is_open), None):
        yield f"Members of {told.pid!r} are told, which is not open."
    if everybody and (hidden := next((p for p in page.proposals if not p.is_open), None)):
        yield f"Anyone is shown the proposal {hidden.pid!r}, which is not open."


def strange_questions(
    texts: Sequence[str] = STRANGE, sharp: Sequence[str] = SHARP
) -> list[tuple[str, SearchQuery]]:
    """(filter, question) for hostile text in each filter: sharp texts in every one, the others in turn; the sharp first."""
    filters = ("text", "sample", "proposals", "instruments", "techniques")
    rest = [text for text in texts if text not in sharp]
    pairs = [(name, text) for text in sharp for name in filters]
    pairs += [(filters[n % len(filters)], text) for n, text in enumerate(rest)]
    return [(name, _asking(name, text)) for name, text in pairs]


def _asking(name: str, text: str) -> SearchQuery:
    said: dict[str, Any] = {name: text[:200] if name in ("text", "sample") else (text[:100],)}
    return SearchQuery(limit=5, **said)


def of_strange(name: str, query: SearchQuery, page: SearchPage) -> Iterator[str]:
    """What is wrong with an answer to everybody about hostile text in the filter `name`."""
    yield from of_page(page, query, everybody=True)
    if name in ("proposals", "instruments", "techniques") and page.datasets:
        yield f"The filter `{name}` finds datasets for {getattr(query, name)[0]!r}, which nothing is called."


def uncrossable(record: Dataset | Proposal) -> str:
    """Why a record would not reach the centre, empty when it would."""
    try:
        if isinstance(record, Dataset):
            decode_dataset(encode_dataset(record))
        else:
            decode_proposal(encode_proposal(record))
    except ValueError as error:
        return str(error) or type(error).__name__
    return ""


def addresses(record: Dataset) -> tuple[bool, bool]:
    """Whether its text and whether its names hold an e-mail address: text leaves without, what names a record as it is."""
    texts = [record.title, record.sample, record.instrument, record.definition, *record.keywords]
    texts += [text for p in record.parameters for text in (p.name, p.unit, p.value) if isinstance(text, str)]
    names = [record.pid, record.proposal]
    return _mails(texts), _mails(names)


def _mails(texts: Sequence[str]) -> bool:
    return any("@" in text and without_emails(text) != text for text in texts)
