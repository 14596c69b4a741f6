"""Orders and open records between bytes and words, for the core."""

from __future__ import annotations

from facility_agent.ports.feed import Kind, RecordCodec
from shared.catalogue import Dataset, Proposal
from shared.commands import Answer, Command, Verb
from shared.wire.catalogue import decode_dataset, encode_dataset
from shared.wire.commands import decode_body
from shared.wire.orders import encode_order_result
from shared.wire.proposals import decode_proposal, encode_proposal
from shared.wire.text import Malformed


class LinkCodec:
    """Implements `ports.link.OrderCodec`."""

    def __call__(self, body: bytes) -> Command:
        """The command in a body."""
        return decode_body(body)

    def encode(self, order_id: str, verb: Verb | None, answer: Answer) -> bytes:
        """A serialised OrderResult."""
        return encode_order_result(order_id, verb, answer).SerializeToString()


class OpenRecordCodec(RecordCodec):
    """Open records as the centre will read them."""

    def encode(self, record: Dataset | Proposal) -> bytes:
        """Its bytes."""
        data = encode_dataset(record) if isinstance(record, Dataset) else encode_proposal(record)
        self.decode(Kind.DATASET if isinstance(record, Dataset) else Kind.PROPOSAL, data)
        return data

    def decode(self, kind: Kind, data: bytes) -> Dataset | Proposal:
        """The record in its bytes. Raises ValueError."""
        try:
            return decode_dataset(data) if kind is Kind.DATASET else decode_proposal(data)
        except Malformed as error:
            raise ValueError(str(error)) from None
