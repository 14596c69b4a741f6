"""A person's own proposals, newest first: put together from what the access rules and the catalogue say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from facility_agent.ports.catalogue import CatalogueBackend, Reader
from shared import cursors
from shared.catalogue import ProposalPage, ProposalQuery, key
from shared.limits import LIMITS

MOST = 1000
"""Most proposals that are looked through for one person; beyond it the page says that it is not complete."""
_CHOSEN = 50
_TOO_MANY = f"Only {MOST} proposals could be looked through; words of a title or identifier find others."


async def own_proposals(backend: CatalogueBackend, query: ProposalQuery, reader: Reader) -> ProposalPage:
    """One page of what the rules give to `reader.account`, in the order of `shared.catalogue.key`.

    Where the rules name no proposal, the catalogue may keep rules of its own: then it is what it shows this account
    beyond what is open. A stranger has none. All of them are read for each page: catalogues give proposals by pid.
    Raises as the port does, and InvalidRequest for an `after` that was not given here.
    """
    begin = tuple(cursors.read(query.after, float, str)) if query.after else None
    if reader.account is None:
        return ProposalPage()
    whole = await _all(backend, query, reader)
    ranked = {
        key(proposal.started, proposal.pid): proposal
        for proposal in whole.proposals
        if proposal.pid in reader.proposals or (not reader.proposals and not proposal.is_open)
    }
    left = [place for place in sorted(ranked) if begin is None or place > begin]
    shown = left[: query.limit]
    after = cursors.write(*shown[-1]) if len(left) > query.limit else ""
    return replace(whole, proposals=tuple(ranked[place] for place in shown), next=after)


async def _all(backend: CatalogueBackend, query: ProposalQuery, reader: Reader) -> ProposalPage:
    """What may be the person's, at most MOST, in no order."""
    whole = ProposalPage()
    for asked in _questions(query, reader):
        for _ in range(MOST // asked.limit):
            page = await backend.proposals(asked, reader)
            whole = ProposalPage(
                whole.proposals + page.proposals, "", whole.complete and page.complete, whole.note or page.note
            )
            if not page.next:
                break
            asked = replace(asked, after=page.next)
        else:
            return replace(whole, complete=False, note=whole.note or _TOO_MANY)
    if len(_named(query, reader)) > MOST:
        return replace(whole, complete=False, note=whole.note or _TOO_MANY)
    return whole


def _questions(query: ProposalQuery, reader: Reader) -> Iterator[ProposalQuery]:
    """By name where the rules name them, so that a catalogue with many open ones is not read whole."""
    if not reader.proposals:
        yield ProposalQuery(query.text, query.proposals, LIMITS.page)
    named = _named(query, reader)[:MOST]
    for first in range(0, len(named), _CHOSEN):
        yield ProposalQuery(query.text, tuple(named[first : first + _CHOSEN]), LIMITS.page)


def _named(query: ProposalQuery, reader: Reader) -> list[str]:
    wanted = reader.proposals & set(query.proposals) if query.proposals else reader.proposals
    return sorted(name for name in wanted if 1 <= len(name) <= 100)
