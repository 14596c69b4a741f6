"""Pure decisions on a facility's session: is this the agent that we know, or a second one?"""

from __future__ import annotations

from dataclasses import dataclass

from central_portal.link.ports import HelloFacts

REMEMBERED = 32
SAME_START = "Two agents run on copies of one store: both claim the same start of it."
CAME_BACK = "An agent came back that a later one had replaced: two run at the same time."


@dataclass(frozen=True, slots=True)
class KnownAgent:
    """Which process held the last session; all empty after a quarantine: whoever comes next is believed."""

    instance_id: str = ""
    boot_counter: int = 0
    store_id: str = ""
    past_instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a Hello means. `quarantine` says why the facility is to be quarantined, empty for not."""

    known: KnownAgent
    quarantine: str = ""
    reconcile: bool = False


def judge(known: KnownAgent | None, hello: HelloFacts) -> Verdict:
    """Whether the process that says Hello may follow the one that is known, None before the first.

    A start of the agent raises its store's boot counter, so another process that has not is a copy. Another
    store is not: it was lost or replaced, and the orders that it had accepted must be looked for.
    """
    if known is None:
        return Verdict(_after(hello, ()))
    same_store = known.store_id == hello.store_id
    if hello.instance_id == known.instance_id:
        return Verdict(_after(hello, known.past_instances), reconcile=not same_store)
    if hello.instance_id in known.past_instances:
        return Verdict(known, quarantine=CAME_BACK)
    if same_store and hello.boot_counter <= known.boot_counter:
        return Verdict(known, quarantine=SAME_START)
    past = (*known.past_instances, known.instance_id)[-REMEMBERED:] if known.instance_id else ()
    return Verdict(_after(hello, past), reconcile=not same_store)


def _after(hello: HelloFacts, past: tuple[str, ...]) -> KnownAgent:
    return KnownAgent(hello.instance_id, hello.boot_counter, hello.store_id, past)
