"""Where the hub's own certificate comes from: the centre's authority, an operator's files, or a proxy in front."""

from __future__ import annotations

import asyncio
import ssl
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509

from central_portal.federation import FacilityTable, Federation
from facility_agent.link.client import AgentLink, LinkSettings
from facility_agent.link.keys import load_or_create_key, public_text
from tests.certificates import self_signed
from tests.enrolment_scene import DAY, Centre, open_centre
from tests.link_parts import SmallCore, eventually

pytestmark = pytest.mark.usefixtures("database")


async def shown(port: int) -> int:
    """The serial number of the certificate that a port shows."""
    pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


async def connects(centre: Centre) -> None:
    await centre.agent(SmallCore(centre.alpha), await centre.site())
    assert centre.hub.links.online(centre.alpha)


async def test_the_authoritys_certificate_for_the_hub_is_kept_for_half_its_life(tmp_path: Path) -> None:
    async with open_centre(tmp_path) as centre:
        pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", centre.hub.port))
        made = x509.load_pem_x509_certificate(pem.encode())
        for certificate in (made, centre.authority.certificates[0]):
            begun = time.time() - certificate.not_valid_before_utc.timestamp()
            assert begun > DAY, "an agent whose clock is behind must get as far as the sentence that says so"
        assert await shown(centre.hub.port) == await shown(centre.hub.port)
        assert await shown(centre.hub.port) != await shown(centre.hub.mutual_port)


async def test_the_authoritys_certificate_for_the_hub_is_renewed_while_it_runs(tmp_path: Path) -> None:
    async with open_centre(tmp_path, server_clock=lambda: time.time() - 8 * DAY) as centre:
        await connects(centre)
        assert await shown(centre.hub.port) != await shown(centre.hub.port), (
            "each past half its life when it is made"
        )
        assert centre.hub.links.online(centre.alpha)


async def test_an_operators_certificate_is_used_and_read_again_when_it_was_renewed(tmp_path: Path) -> None:
    files = self_signed(tmp_path / "hub")
    async with open_centre(tmp_path, certificate=files, hub_ca=files[0]) as centre:
        await connects(centre)
        before = await shown(centre.hub.port)
        self_signed(tmp_path / "hub")
        assert await shown(centre.hub.port) != before
        files[0].write_bytes(b"rubbish")
        assert await shown(centre.hub.port) != before, "a file that is being written harms nothing"


async def test_an_agent_set_up_by_hand_pins_the_centres_authority(tmp_path: Path) -> None:
    key, ca = load_or_create_key(tmp_path / "by-hand.key"), tmp_path / "ca.pem"
    table = FacilityTable(
        id="gamma", name="Gamma", public_key=public_text(key), gateway="https://g.example", workspace_zone="w"
    )
    async with open_centre(tmp_path, federation=Federation(facilities=(table,))) as centre:
        ca.write_bytes(centre.authority.trust())
        hub = f"127.0.0.1:{centre.hub.port}"
        settings = LinkSettings("gamma", hub, "hub", tmp_path / "by-hand.key", uuid.uuid4().hex, 1, ca_file=ca)
        link = AgentLink(settings, SmallCore("gamma"))
        centre.tasks.append(asyncio.create_task(link.run()))
        await eventually(lambda: link.connected)


@asynccontextmanager
async def tls_in_front(port: int, files: tuple[Path, Path]) -> AsyncIterator[int]:
    """A proxy that ends TLS, and goes on in the clear to this port; where it listens."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    context.set_alpn_protocols(["h2"])

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        except (ConnectionError, ssl.SSLError):
            pass  # either side has gone; so has the other, in a moment
        finally:
            target.close()

    opened: list[asyncio.StreamWriter] = []
    carrying: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrying.add(asyncio.current_task())  # type: ignore[arg-type]
        opened.append(writer)
        ours, theirs = await asyncio.open_connection("127.0.0.1", port)
        opened.append(theirs)
        await asyncio.gather(carry(reader, theirs), carry(ours, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)
        for writer in opened:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def test_behind_a_proxy_that_ends_tls_an_agent_enrols_and_signs_tokens(tmp_path: Path) -> None:
    files = self_signed(tmp_path / "proxy")
    async with (
        open_centre(tmp_path, plaintext=True, hub_ca=files[0]) as centre,
        tls_in_front(centre.hub.port, files) as centre.dial_port,
    ):
        site = await centre.site()
        identity = site.current()
        assert identity
        assert (identity.hub, identity.mutual) == (f"127.0.0.1:{centre.dial_port}", "")
        assert b"CERTIFICATE" in identity.authorities
        await centre.agent(SmallCore(centre.alpha), site)
        assert centre.hub.links.online(centre.alpha)
        while centre.tasks:
            await centre.kill()
