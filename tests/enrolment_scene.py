"""A hub with TLS and a real certificate authority on a real database, on loopback, with a clock that a test moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central_portal.database import in_database
from central_portal.enrolment import operate
from central_portal.enrolment.authority import Authority
from central_portal.enrolment.members import Roster
from central_portal.enrolment.services import Enrolment
from central_portal.facilities.registry import FacilityRegistry
from central_portal.federation import Federation
from central_portal.link.hub import Hub, HubSettings
from central_portal.settings import CentreSettings
from facility_agent.link import enrolment
from facility_agent.link.certificates import Certificates
from facility_agent.link.client import AgentLink, LinkSettings
from facility_agent.link.identity import CURRENT, Identity, write_identity
from facility_agent.link.keys import save_key
from facility_agent.link.stream import open_channel
from shared.link.channel import METHOD
from shared.wire.enrolment import Token, decode_token
from shared.wire.proof import token as random_text
from tests.link_parts import Recorder, SmallCore

DAY = 86_400.0


def new_key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


class Clock:
    """The centre's clock, `ahead` of the true one."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Centre:
    """One hub. `alpha` and `beta` take part under names of this test's own, since the database is shared."""

    def __init__(
        self, folder: Path, *, plaintext: bool = False, life: float = 2 * DAY, hub_ca: Path | None = None,
        certificate: tuple[Path, Path] | tuple[None, None] = (None, None), server_clock: Callable[[], float] = time.time, federation: Federation = Federation(),  # noqa: B008 (frozen)
    ) -> None:  # fmt: skip
        self.folder, self.clock, self.events = folder, Clock(), Recorder()
        self.federation = federation
        # pydantic-settings reads the environment, which these tests must not depend on
        self.settings = CentreSettings.model_construct(
            data=folder, hub_plaintext=plaintext, hub_ca=hub_ca, hub_certificate=certificate[0]
        )
        self.authority = Authority(folder, "portal.example.eu", server_clock)
        self.dial_port = 0
        self.roster = Roster(self.federation)
        self.enrolment = Enrolment(self.authority, self.roster, self.authorities, life, self.clock)
        self.registry = FacilityRegistry(self.federation, self.roster, tokens=plaintext)
        self.hub = Hub(
            HubSettings("127.0.0.1:0", "hub", *certificate, plaintext, "127.0.0.1:0", drain=0.2),
            self.registry, self.events, self.events.queue, self.clock, enrolments=self.enrolment,
            authority=self.authority,
        )  # fmt: skip
        suffix = random_text()[:8].lower().replace("_", "0").replace("-", "1")
        self.alpha, self.beta = f"alpha-{suffix}", f"beta-{suffix}"
        self.tasks: list[asyncio.Task[None]] = []
        self._boots = count(1)

    def authorities(self) -> tuple[bytes, ...]:
        from central_portal.enrolment.authority import hub_authorities

        return hub_authorities(self.settings, self.authority)

    async def do(self, work: Any, *arguments: Any, **named: Any) -> Any:
        return await in_database(work)(*arguments, **named)

    async def token(self, facility: str = "") -> Token:
        hub = HubSettings("127.0.0.1:0", "hub", dial=f"127.0.0.1:{self.dial_port or self.hub.port}")
        text = await self.do(
            operate.token,
            self.settings,
            hub,
            self.federation,
            self.authority,
            facility or self.alpha,
            self.clock(),
        )
        return decode_token(text)

    async def enrolled(self, facility: str = "", key: Ed25519PrivateKey | None = None) -> Identity:
        token = await self.token(facility)
        return await enrolment.enrol(token, key or Ed25519PrivateKey.generate(), new_key(), self.clock)

    async def site(self, facility: str = "") -> Certificates:
        """An agent's state folder after `facility-agent enrol`."""
        facility = facility or self.alpha
        folder, key = self.folder / f"site-{random_text()[:8]}", Ed25519PrivateKey.generate()
        folder.mkdir()
        save_key(folder / "agent.key", key)
        write_identity(folder / CURRENT, await self.enrolled(facility, key))
        return Certificates(folder, facility, folder / "agent.key", self.clock)

    def dial(self, core: SmallCore, certificates: Certificates) -> AgentLink:
        settings = LinkSettings(
            core.facility_id,
            "",
            "",
            Path("unused"),
            "store",
            next(self._boots),
            first_pause=0.02,
            longest_pause=0.2,
        )
        link = AgentLink(settings, core, ways=certificates)
        self.tasks.append(asyncio.create_task(link.run()))
        return link

    async def agent(self, core: SmallCore, certificates: Certificates) -> AgentLink:
        up = asyncio.Event()
        link = self.dial(core, certificates)
        link.on_change = lambda connected: up.set() if connected else None
        async with asyncio.timeout(10):
            await up.wait()
        return link

    async def kill(self) -> None:
        task = self.tasks.pop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def stream(self, identity: Identity, *, mutual: bool = True) -> AsyncIterator[Any]:
        """A stream as whoever holds this identity would open it."""
        credentials = grpc.ssl_channel_credentials(identity.authorities, identity.key, identity.chain())
        port = self.hub.mutual_port if mutual else self.hub.port
        async with open_channel(f"127.0.0.1:{port}", credentials) as channel:
            call = channel.stream_stream(METHOD)()
            yield call
            call.cancel()


@asynccontextmanager
async def open_centre(folder: Path, **how: Any) -> AsyncIterator[Centre]:
    centre = Centre(folder, **how)
    for slug in (centre.alpha, centre.beta):
        await centre.do(operate.add, centre.federation, slug, slug, f"https://{slug}.example", f"w-{slug}.example")
    await centre.hub.start()
    try:
        yield centre
    finally:
        while centre.tasks:
            await centre.kill()
        await centre.hub.stop()
        for slug in (centre.alpha, centre.beta):
            await centre.do(drop, slug)


def drop(slug: str) -> None:
    from central_portal.enrolment.models import Agent, EnrolmentToken, Member

    Member.objects.filter(slug=slug).delete()
    Agent.objects.filter(facility=slug).delete()
    EnrolmentToken.objects.filter(facility=slug).delete()


def certificates_of(facility: str) -> list[tuple[str, bool, bool]]:
    """(serial, used, retired) of each of a facility's certificates, oldest first."""
    from central_portal.enrolment.models import Certificate

    rows = Certificate.objects.filter(agent__facility=facility).order_by("issued_at")
    return [(row.serial, row.used_at is not None, row.retired_at is not None) for row in rows]
