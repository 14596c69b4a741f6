"""The mirror of one facility in this process: prints {question: [ms of the search, ms of its SQL alone]}."""

from __future__ import annotations

import asyncio
import json
import time

import django

from shared.catalogue import Changes, Dataset, SearchQuery
from tests.benchmarks.data.world import DATASETS, SAMPLES
from tests.benchmarks.measure import median

QUESTIONS = {"newest": SearchQuery(), "a word of one in ten": SearchQuery(text="quartz")}
TIMES = 100


async def measure() -> dict[str, tuple[float, float]]:
    """Medians."""
    from django.db import connection

    from central_portal.database import in_database
    from central_portal.mirror import store
    from central_portal.mirror.searching import MirrorSearch

    token = ""
    for begin in range(0, DATASETS, 5000):
        rows = tuple(
            Dataset(f"d{n}", f"Scan {n} of {SAMPLES[n % 10]}", f"P{n % 50}", f"I{n % 12}", SAMPLES[n % 10], "NXsas", 1.6e9 + n, None, 1, 1, is_open=True)
            for n in range(begin, begin + 5000)
        )  # fmt: skip
        more = begin + 5000 < DATASETS
        changes = Changes(datasets=rows, token=str(begin), more=more, restart=not begin)
        assert await in_database(store.apply)("f", token, changes)
        token = str(begin)

    def bare(sql: str, values: tuple[object, ...]) -> int:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return len(cursor.fetchall())

    found: dict[str, tuple[float, float]] = {}
    where = "facility='f' and kind='d' and not gone"
    for name, query in QUESTIONS.items():
        words = " and words like %s escape '\\'" if query.text else ""
        sql = f"select rank, pid, payload from mirror_openrecord where {where}{words} order by rank, pid limit 51"
        values = (f"% {query.text}%",) if query.text else ()
        ours, alone = [], []
        for _ in range(TIMES):
            begun = time.perf_counter()
            answer = await MirrorSearch().search("f", query)
            ours.append(1000 * (time.perf_counter() - begun))
            assert answer is not None
            assert len(answer.page.datasets) == query.limit
            begun = time.perf_counter()
            assert await in_database(bare)(sql, values) == query.limit + 1
            alone.append(1000 * (time.perf_counter() - begun))
        found[name] = (median(ours), median(alone))
    return found


if __name__ == "__main__":
    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    print(json.dumps(asyncio.run(measure())))
