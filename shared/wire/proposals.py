"""Proposals on the wire."""

from __future__ import annotations

from shared.catalogue import Member, Proposal, ProposalPage, ProposalQuery
from shared.limits import LIMITS
from shared.wire import text
from shared.wire.catalogue import position, words
from shared.wire.gen.parasol.catalogue.v1 import catalogue_pb2 as pb
from shared.wire.parse import parse
from shared.wire.text import Malformed

PROPOSAL_BYTES = 64 * 1024
_QUESTION_BYTES = 64 * 1024
_PAGE_BYTES = 2 * 1024 * 1024
_INSTRUMENTS = 50
_MEMBERS = 200


def encode_query(value: ProposalQuery) -> bytes:
    """The bytes of the parameters."""
    return pb.ProposalQuery(
        text=value.text, proposals=value.proposals, limit=value.limit, after=value.after, own=value.own
    ).SerializeToString()


def decode_query(data: bytes) -> ProposalQuery:
    """The parameters. Raises InvalidRequest or Malformed."""
    message = parse(pb.ProposalQuery, data, _QUESTION_BYTES)
    return ProposalQuery(
        text.plain(message.text, 201), tuple(message.proposals), message.limit, message.after, message.own
    )


def encode_page(value: ProposalPage) -> bytes:
    """The bytes of the payload. Raises ValueError for what the wire cannot hold."""
    return pb.ProposalPage(
        proposals=[message_of(proposal) for proposal in value.proposals],
        next=value.next,
        complete=value.complete,
        note=value.note,
    ).SerializeToString()


def decode_page(data: bytes) -> ProposalPage:
    """The payload, cleaned. A proposal with an unusable identifier is left out, and the page says that it is not complete."""
    message = parse(pb.ProposalPage, data, _PAGE_BYTES)
    if len(message.proposals) > LIMITS.page:
        raise Malformed(f"A page has more than {LIMITS.page} proposals.")
    found = tuple(read(proposal) for proposal in message.proposals if usable(proposal))
    complete = message.complete and len(found) == len(message.proposals)
    return ProposalPage(found, position(message.next), complete, text.plain(message.note, text.SENTENCE))


def encode_proposal(value: Proposal) -> bytes:
    """The bytes of one proposal. Raises ValueError for what the wire cannot hold."""
    return message_of(value).SerializeToString()


def decode_proposal(data: bytes) -> Proposal:
    """One proposal, cleaned. Raises Malformed when its identifier cannot be used."""
    message = parse(pb.Proposal, data, PROPOSAL_BYTES)
    if not usable(message):
        raise Malformed("A proposal has an identifier that cannot be shown.")
    return read(message)


def usable(message: pb.Proposal) -> bool:
    """Whether its identifier can be used."""
    return text.is_identifier(message.pid)


def read(message: pb.Proposal) -> Proposal:
    """A usable proposal, cleaned. Members of a proposal that is not open are dropped."""
    members = message.members[:_MEMBERS] if message.is_open else ()
    return Proposal(
        pid=message.pid,
        title=text.plain(message.title),
        summary=text.plain(message.summary, text.PARAGRAPH),
        kind=text.plain(message.kind, text.IDENTIFIER),
        instruments=words(message.instruments[:_INSTRUMENTS]),
        started=text.instant(message.started) if message.HasField("started") else None,
        ended=text.instant(message.ended) if message.HasField("ended") else None,
        released=text.instant(message.released) if message.HasField("released") else None,
        doi=text.plain(message.doi),
        licence=text.plain(message.licence, text.IDENTIFIER),
        keywords=words(message.keywords),
        members=tuple(
            Member(name, text.plain(m.role, 100), text.plain(m.affiliation), text.plain(m.orcid, 50))
            for m in members
            if (name := text.plain(m.name))
        ),
        is_open=message.is_open,
    )


def message_of(value: Proposal) -> pb.Proposal:
    """The proposal as it is sent; members go along of an open one alone. Raises ValueError for what the wire cannot hold."""
    return pb.Proposal(
        pid=value.pid,
        title=value.title,
        summary=value.summary,
        kind=value.kind,
        instruments=value.instruments,
        started=value.started,
        ended=value.ended,
        released=value.released,
        doi=value.doi,
        licence=value.licence,
        keywords=value.keywords,
        members=[
            pb.Member(name=m.name, role=m.role, affiliation=m.affiliation, orcid=m.orcid)
            for m in (value.members if value.is_open else ())
        ],
        is_open=value.is_open,
    )
