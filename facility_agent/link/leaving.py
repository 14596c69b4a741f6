"""The one way out: what the agent says is held to the allow-list and recorded, and only then sent."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping

from google.protobuf.message import Message

from facility_agent.ports.egress import Egress, Entry, Head
from shared.commands import Verb, refusal
from shared.errors import BackendError, BackendUnavailable
from shared.identity import Subject
from shared.wire.commands import encode_answer
from shared.wire.events import DESCRIBED
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.sieve import INVENTORY, Sieve

log = logging.getLogger(__name__)
_UNREADABLE = "The facility's answer cannot be sent."
HELLO, UNREAD = "link.hello", "unread"


class Leaving:
    """Everything about data or people passes here.

    Words of the link itself (signs of life, Accepted, Reject, Drain) carry none of it and do not; nor does the one
    refusal that says that nothing can be recorded.
    """

    def __init__(self, sieve: Sieve, egress: Egress) -> None:
        self._sieve, self._egress = sieve, egress

    @property
    def fault(self) -> str:
        """Why nothing can be recorded, empty when it can."""
        return self._egress.fault

    def head(self) -> Head:
        """The last record."""
        return self._egress.head

    async def hash_of(self, sequence: int) -> str:
        """The hash of a record as the log holds it now, empty when it does not. Raises BackendUnavailable."""
        return await self._egress.hash_of(sequence)

    async def probe(self) -> None:
        """Raises BackendUnavailable while nothing can be recorded."""
        await self._egress.record()

    async def answer(self, verb: Verb | None, person: Subject | None, result: pb.Result) -> pb.Result:
        """The answer to a query as it may leave, a refusal when it cannot be recorded."""
        try:
            counts = self._sifted(verb, result)
        except Exception:  # what cannot be read cannot be held to the list
            log.exception("An answer to %s cannot be held to the allow-list.", verb)
            result = encode_answer(result.ticket, None, refusal(BackendError(_UNREADABLE)))
            counts = self._sifted(None, result)
        try:
            await self._egress.record(_entry(verb, person, result, "", counts))
        except BackendUnavailable as error:
            return encode_answer(result.ticket, None, refusal(error))
        return result

    async def order_result(self, verb: Verb | None, person: Subject | None, data: bytes) -> bytes:
        """The result of an order as it may leave. Raises BackendUnavailable when it cannot be recorded: it waits."""
        result = pb.OrderResult.FromString(data)
        counts = self._sifted(verb, result)
        await self._egress.record(_entry(verb, person, result, result.order_id, counts))
        return result.SerializeToString(deterministic=True)

    async def events(self, events: Iterable[pb.Event]) -> None:
        """Facts, held to the list where they stand. Raises BackendUnavailable when they cannot be recorded."""
        entries = []
        for event in events:
            event.payload, counts = self._sieve.payload(event.kind, event.payload)
            entries.append(_sent(event.kind, event, counts))
        await self._egress.record(*entries)

    def sift_hello(self, hello: pb.Hello) -> Counter[str]:
        """Hold what a session begins with to the list; how often each path occurs."""
        hello.DiscardUnknownFields()
        counts: Counter[str] = Counter()
        hello.description, described = self._sieve.payload(DESCRIBED, hello.description)
        hello.inventory, inventory = self._sieve.payload(INVENTORY, hello.inventory)
        counts.update({f"description.{path}": count for path, count in described.items()})
        counts.update({f"inventory.{path}": count for path, count in inventory.items()})
        return counts

    async def hello(self, hello: pb.Hello, counts: Mapping[str, int]) -> None:
        """Raises BackendUnavailable when it cannot be recorded: then no session begins."""
        await self._egress.record(_sent(HELLO, hello, counts))

    def _sifted(self, verb: Verb | None, result: pb.Result | pb.OrderResult) -> Counter[str]:
        result.DiscardUnknownFields()
        counts: Counter[str] = Counter()
        if result.payload:
            if verb is None:
                raise BackendError(_UNREADABLE)
            result.payload, counts = self._sieve.payload(verb.value, result.payload)
        if result.HasField("problem"):
            counts.update(self._sieve.problem(result.problem))
        return counts


def _entry(
    verb: Verb | None,
    person: Subject | None,
    result: pb.Result | pb.OrderResult,
    about: str,
    counts: Mapping[str, int],
) -> Entry:
    data = result.SerializeToString(deterministic=True)
    return Entry(
        verb.value if verb else UNREAD, person=person, outcome=result.outcome, about=about, fields=counts,
        size=len(data), digest=hashlib.sha256(data).hexdigest(),
    )  # fmt: skip


def _sent(word: str, message: Message, counts: Mapping[str, int]) -> Entry:
    data = message.SerializeToString(deterministic=True)
    return Entry(word, fields=counts, size=len(data), digest=hashlib.sha256(data).hexdigest())
