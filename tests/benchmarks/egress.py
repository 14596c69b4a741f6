"""What it costs an agent to hold a search answer to the list and to record it, beside encoding the answer alone."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from facility_agent.egress.allow import allowed
from facility_agent.egress.files import LogFiles
from facility_agent.egress.log import EgressLog
from facility_agent.egress.people import Pseudonyms
from facility_agent.egress.policy import narrowed
from facility_agent.egress.recorder import Recorder
from facility_agent.link.leaving import Leaving
from facility_agent.ports.egress import Egress, NoEgress
from facility_agent.store.sqlite import SqliteStore
from facility_agent.store.vault import KeyFileVault
from shared.catalogue import Dataset, Parameter, SearchPage
from shared.commands import Answer, Verb
from shared.facilities import Outcome
from shared.identity import Subject
from shared.wire.commands import encode_answer
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.sieve import Sieve
from tests.benchmarks.measure import Figure, median

ROUNDS, ANSWERS, AT_ONCE = 5, 400, 16
ADA = Subject("https://umbrella.example", "pairwise-ada")


def page() -> Answer:
    """50 datasets as a facility describes them."""
    datasets = tuple(
        Dataset(
            f"2026/raw/i22-{number:06d}.nxs", f"Silver behenate, run {number}", "GUP26110", "I22", "AgBh on glass",
            "NXsas", 1.8e9 + number, 1.8e9 + number + 60, 2**30, 12, number % 2 == 0, ("PaNET01124",),
            ("silver", "calibration"), (Parameter("energy", 12.4, "keV"), Parameter("mode", "fly")), "10.1234/abc",
            "CC-BY-4.0", 1.8e9,
        )
        for number in range(50)
    )  # fmt: skip
    return Answer(Outcome.OK, SearchPage(datasets, "bmV4dA==", complete=True))


def encoded(answer: Answer) -> pb.Result:
    """What leaves when nothing is held to anything."""
    return encode_answer(1, Verb.SEARCH, answer)


async def cost(leaving: Leaving | None, answer: Answer) -> float:
    """CPU in µs an answer, all threads together; each is encoded afresh, sifted and recorded, `AT_ONCE` at a time."""

    async def answers() -> None:
        for _ in range(ANSWERS // AT_ONCE):
            result = encoded(answer)
            if leaving is not None:
                result = await leaving.answer(Verb.SEARCH, ADA, result)
                assert result.payload
            result.SerializeToString()

    before = time.process_time()
    await asyncio.gather(*(answers() for _ in range(AT_ONCE)))
    return 1e6 * (time.process_time() - before) / (ANSWERS // AT_ONCE * AT_ONCE)


def run() -> list[Figure]:
    """Encoding alone, with the sieve, with the log too."""
    return asyncio.run(_run())


async def _run() -> list[Figure]:
    answer = page()
    policy = narrowed({"dataset": {"sample": "open"}})
    with tempfile.TemporaryDirectory(prefix="pb-") as name:
        folder = Path(name)
        log, store = (
            EgressLog(LogFiles(folder / "egress", folder / "head", 2**26), time.time),
            SqliteStore(folder / "s"),
        )
        await store.probe()
        recorder = Recorder(log, Pseudonyms(store, KeyFileVault(folder / "key")), time.time)
        without: Egress = NoEgress()
        ways = {
            "alone": None, "sifted": Leaving(Sieve(allowed()), without),
            "recorded": Leaving(Sieve(allowed(), policy.paths), recorder),
        }  # fmt: skip
        spent: dict[str, list[float]] = {way: [] for way in ways}
        for leaving in ways.values():
            await cost(leaving, answer)
        for _ in range(ROUNDS):
            for way, leaving in ways.items():
                spent[way].append(await cost(leaving, answer))
        log.close()
        store.close()
    alone, sifted, recorded = (median(spent[way]) for way in ("alone", "sifted", "recorded"))
    note = f"sifting adds {sifted - alone:.0f} µs, recording another {recorded - sifted:.0f} µs; {AT_ONCE} answers at a time"
    return [
        Figure(
            "search answer of 50, sifted and recorded: CPU", recorded, alone, "µs", "encoding it alone", "<= 6x",
            recorded <= 6 * alone, note, tuple(spent["recorded"]),
        )
    ]  # fmt: skip
