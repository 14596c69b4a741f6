"""Reading the open data as harvesters do."""

from __future__ import annotations

import json
import threading
import time

from deploy.demo.journey import SEARCH, Journey, must

MIRRORED = "{openDatasets(first: 100) {totalCount edges {id}}}"


def harvest(journey: Journey, within: float = 30.0) -> None:
    """What the PaNOSC API and the mirror in GraphQL have is what a stranger finds, soon after the facilities have come."""
    end = time.monotonic() + within
    while True:
        nodes = journey.ask(SEARCH, q={})["search"]["nodes"]
        found = {n["id"].removeprefix("Dataset:") for n in nodes if n["isOpen"]}
        rows = json.loads(journey.browser.get(f'{journey.at.portal}/api/Datasets?filter={{"limit":100}}').body)
        mirrored = journey.ask(MIRRORED)["openDatasets"]
        ids = {edge["id"].removeprefix("Dataset:") for edge in mirrored["edges"]}
        if found and {row["pid"] for row in rows} == ids == found and mirrored["totalCount"] == len(found):
            return
        must(time.monotonic() < end, f"found {len(found)}, by PaNOSC {len(rows)}, mirrored {len(ids)}")
        threading.Event().wait(0.5)
