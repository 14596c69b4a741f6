"""What one probe found, and how a probe is bounded: by time, and by what its errors become."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.errors import BackendError, BackendUnavailable, ParasolError

_LONGEST = 240
AWAY = "See that it runs and that this machine reaches it."
STRANGE = "It answers, but not as its interface says: see that the address is the interface's own, not a web page's or a proxy's."
SLOW = "See why it is so slow, or give it longer with --within."
FAULT = "That is a fault of the adapter: tell its authors."


class State(StrEnum):
    """How a probe ended. What failed keeps something from working; what was not tried proves nothing."""

    OK = "ok"
    WARNING = "warning"
    UNTRIED = "not tried"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """What was found at `where` (`catalogue.scicat paging`) and, when it is not well, what to do."""

    state: State
    where: str
    said: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.state.value} {self.where}: {self.said} {self.mend}".rstrip()


@dataclass(frozen=True, slots=True)
class Place:
    """One system: how it is called, and what takes its results."""

    name: str
    tell: Callable[[Result], None]

    def ok(self, probe: str, said: str) -> None:
        """Something works."""
        self.tell(Result(State.OK, f"{self.name} {probe}", said))

    def warn(self, probe: str, said: str, mend: str) -> None:
        """Something works otherwise than an operator may want."""
        self.tell(Result(State.WARNING, f"{self.name} {probe}", said, mend))

    def skip(self, probe: str, why: str) -> None:
        """Something could not be tried."""
        self.tell(Result(State.UNTRIED, f"{self.name} {probe}", why))

    def fail(self, probe: str, said: str, mend: str) -> None:
        """Something does not work."""
        self.tell(Result(State.FAILED, f"{self.name} {probe}", said, mend))

    def judge(self, probe: str, broken: Iterable[str], well: str) -> bool:
        """Failed with the first of `broken`, an adapter's or a catalogue's fault; else ok, which is returned."""
        if first := next(iter(broken), ""):
            self.fail(probe, first, FAULT)
        else:
            self.ok(probe, well)
        return not first


class Probes:
    """Runs probes of one system one after the other; `hung` says that one did not come back in time."""

    def __init__(self, place: Place, seconds: float) -> None:
        self.place, self.seconds = place, seconds
        self.hung = False

    async def run(self, probe: str, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Whether it came to an end of its own. Whatever it raises becomes a result that failed."""
        limit = asyncio.timeout(self.seconds)
        try:
            async with limit:
                await work()
        except Exception as error:  # noqa: BLE001 (an adapter's error of any kind is a finding)
            if limit.expired():
                self.hung = True
                self.place.fail(probe, f"No answer within {self.seconds:g} s.", SLOW)
            else:
                self.place.fail(probe, *_explained(error))
            return False
        if limit.expired():  # somebody swallowed the cancellation
            self.hung = True
        return True


def _explained(error: Exception) -> tuple[str, str]:
    """(what, mend). The private cause is for the operator, who alone sees this."""
    if not isinstance(error, ParasolError):
        return f"{type(error).__name__}: {short(error)}.", FAULT
    said = f"{error.message} ({because})" if (because := cause(error)) else error.message
    if isinstance(error, BackendUnavailable):
        return said, AWAY
    return said, STRANGE if isinstance(error, BackendError) else ""


def cause(error: BaseException) -> str:
    """The private cause in one line, empty for none."""
    why = error.__cause__
    if why is None:
        return ""
    return short(why) if type(why) is ValueError else f"{type(why).__name__}: {short(why)}".removesuffix(": ")


def short(value: object) -> str:
    """In one printable line of at most 240 characters."""
    line = "".join(c if c.isprintable() else " " for c in str(value))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
