"""Orders between bytes and words, for the core."""

from __future__ import annotations

from shared.commands import Answer, Command, Verb
from shared.wire.commands import decode_body
from shared.wire.orders import encode_order_result


class LinkCodec:
    """Implements `ports.link.OrderCodec`."""

    def __call__(self, body: bytes) -> Command:
        """The command in a body."""
        return decode_body(body)

    def encode(self, order_id: str, verb: Verb | None, answer: Answer) -> bytes:
        """A serialised OrderResult."""
        return encode_order_result(order_id, verb, answer).SerializeToString()
