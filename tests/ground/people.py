"""Alpha's groups: one of everybody, and one of each proposal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deploy.demo.ground import SHARED
from deploy.demo.people import PEOPLE

_ALL = sorted(each for person in PEOPLE for each in person.proposals["alpha"])
PROPOSALS: Mapping[str, int] = {proposal: gid for gid, proposal in enumerate(_ALL, SHARED + 1)}
"""Each proposal's gid."""


def members() -> Iterator[tuple[str, int, list[str]]]:
    """(name, gid, usernames) of each group."""
    yield "alpha", SHARED, [person.accounts["alpha"][0] for person in PEOPLE]
    for proposal, gid in PROPOSALS.items():
        yield proposal.lower(), gid, [p.accounts["alpha"][0] for p in PEOPLE if proposal in p.proposals["alpha"]]
