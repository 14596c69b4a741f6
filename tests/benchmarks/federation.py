"""A centre in a process of its own, with facilities that one helper process plays over the real link."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from facility_agent.link import client
from facility_agent.link.client import AgentLink
from facility_agent.link.keys import load_or_create_key
from facility_agent.link.running import Reply, Running
from facility_agent.link.settings import LinkSettings
from shared.catalogue import Dataset, SearchPage, SearchQuery
from shared.facilities import Capability, FacilityDescription, Outcome
from shared.link.outputs import CommandArrived
from shared.wire.catalogue import encode_page
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.workspaces import WorkspaceInventory
from tests.waiting import free_port, http_status, until

ROOT = Path(__file__).resolve().parents[2]
HOST = "portal.localhost"


def page_of(slug: str) -> bytes:
    """The answer of one facility to the search: a page of 50 datasets, and there is more."""
    rows = [
        Dataset(f"{slug}-{i}", f"Dataset {i} of {slug}", f"P{i % 7}", "I1", "Sample", "NXsas", 1e9 - i * 10, None, 10**6, 1, is_open=True)
        for i in range(SearchQuery().limit)
    ]  # fmt: skip
    return encode_page(SearchPage(tuple(rows), next="50"))


class Prepared(Running):
    """Answers at once with bytes made beforehand, as the floor's agents do: the centre and the link are measured."""

    def __init__(self, core: BenchCore, slots: asyncio.Semaphore) -> None:
        super().__init__(core, slots)  # type: ignore[arg-type]
        self._page = core.page

    async def _answer(self, command: CommandArrived, reply: Reply) -> None:
        await reply(pb.Result(ticket=command.ticket, outcome=Outcome.OK, payload=self._page))


class BenchCore:
    """What a facility of the benchmark says of itself."""

    def __init__(self, slug: str) -> None:
        self._slug, self.page = slug, page_of(slug)

    def description(self) -> FacilityDescription:
        capabilities = tuple(Capability(f"c{i}", "kind", f"Capability {i}", "What it does") for i in range(5))
        slug = self._slug
        return FacilityDescription(
            slug, f"Facility {slug}", "Town", "FR", "A sentence about it.", "https://example.org/", "https://example.org/d",
            "https://example.org/c", "1.0", ("I1",), ("P1",), capabilities,
        )  # fmt: skip

    def inventory(self) -> WorkspaceInventory:
        return WorkspaceInventory()

    def subscribe(self, listener: object) -> object:
        return lambda: None


def slug_of(number: int) -> str:
    """The slug of a facility of the benchmark."""
    return f"facility-{number:02d}"


@contextmanager
def centre(folder: Path, facilities: int, players: str = __name__) -> Iterator[tuple[int, int, int]]:
    """(port, pid, pid of all agents) of a centre with this many connected facilities, which the module `players` plays."""
    port, hub = free_port(), free_port()
    tables = []
    for number in range(facilities):
        key = load_or_create_key(folder / f"{number}.key").public_key()
        text = base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
        slug = slug_of(number)
        tables.append(
            f'[[facilities]]\nid="{slug}"\nname="{slug}"\npublic_key="{text}"\ngateway="http://{slug}.localhost:1"\nworkspace_zone="{slug}-w.localhost:1"\n'
        )
    (folder / "federation.toml").write_text("\n".join(tables))
    variables = {
        **os.environ, "PARASOL_ORIGIN": f"http://{HOST}:{port}", "PARASOL_LISTEN": f"127.0.0.1:{port}",
        "PARASOL_DATA": str(folder / "data"), "PARASOL_FEDERATION": str(folder / "federation.toml"),
        "PARASOL_HUB_LISTEN": f"127.0.0.1:{hub}", "PARASOL_HUB_PLAINTEXT": "1",
    }  # fmt: skip
    with (folder / "centre.log").open("wb") as log:
        serving = subprocess.Popen(
            [Path(sys.executable).parent / "central-portal", "serve"], env=variables, stdout=log, stderr=log
        )
        agents = subprocess.Popen(
            [sys.executable, "-m", players, str(folder), str(facilities), str(hub)],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
        try:
            until(lambda: http_status(port, "/healthz", f"{HOST}:{port}") == 200, "the centre is up")
            until(lambda: (folder / "data" / "centre.sqlite3").exists(), "its database")
            until(
                lambda: (folder / "centre.log").read_bytes().count(b"Connected to the hub") >= facilities,
                "all agents connected",
            )
            yield port, serving.pid, agents.pid
        finally:
            for process in (agents, serving):
                process.terminate()
                process.wait(15)


async def play(folder: Path, facilities: int, hub: int) -> None:
    """Be all agents at once."""
    import logging

    logging.basicConfig(level=logging.INFO)
    client.Running = Prepared  # type: ignore[misc]
    async with asyncio.TaskGroup() as tasks:
        for number in range(facilities):
            settings = LinkSettings(
                facility_id=slug_of(number), hub=f"127.0.0.1:{hub}", audience="parasol-hub",
                key_file=folder / f"{number}.key", store_id=str(number), boot_counter=1, plaintext=True,
            )  # fmt: skip
            core = BenchCore(slug_of(number))
            link = AgentLink(settings, core)  # type: ignore[arg-type]
            tasks.create_task(link.run())


if __name__ == "__main__":
    uvloop.run(play(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
