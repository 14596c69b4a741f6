"""An agent's life with certificates, over real TLS: enrol, connect, renew, lose answers, recover, be revoked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central_portal.enrolment import operate
from facility_agent.link import certificates, enrolment
from facility_agent.link.certificates import Certificates
from facility_agent.link.enrolment import EnrolmentFailed
from facility_agent.link.identity import CURRENT, NEXT, read_identity, write_identity
from facility_agent.link.keys import load_key
from facility_agent.link.stream import open_stream
from facility_agent.link.token import signed_token
from shared.commands import Verb
from shared.errors import FacilityUnavailable
from shared.link.pump import StreamLost
from tests.enrolment_scene import DAY, Centre, certificates_of, new_key, open_centre
from tests.link_parts import SmallCore, eventually, search
from tests.link_scene import ending, hello
from tests.waiting import free_port

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with open_centre(tmp_path) as centre:
        yield centre


async def shake_hands(centre: Centre, call: object, facility: str = "") -> None:
    """Says Hello by hand and hears the Welcome."""
    await call.write(hello(facility or centre.alpha))  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        assert await call.read()  # type: ignore[attr-defined]


async def refused(centre: Centre, identity: object) -> str:
    """Why the hub does not let this identity in; nothing may come of the try."""
    before = len(centre.events.of("connected")), dict.fromkeys(await centre.do(certificates_of, centre.alpha))
    async with centre.stream(identity) as call:  # type: ignore[arg-type]
        code = await ending(call)
        details = await call.details()
    assert code is grpc.StatusCode.UNAUTHENTICATED, (code, details)
    after = len(centre.events.of("connected")), dict.fromkeys(await centre.do(certificates_of, centre.alpha))
    assert after == before
    return str(details)


async def test_from_a_token_to_answered_asks(centre: Centre) -> None:
    core, site = SmallCore(centre.alpha), await centre.site()
    identity = site.current()
    assert identity is not None
    assert identity.name == f"spiffe://portal.example.eu/facility/{centre.alpha}/agent/1"
    link = await centre.agent(core, site)
    answer = await centre.hub.links.ask(centre.alpha, Verb.SEARCH, search("x", centre.alpha), 5.0)
    assert answer.payload is not None
    assert link.connected
    left = site.seconds_left()
    assert left is not None
    assert 1.9 * DAY < left < 2.1 * DAY


async def test_a_renewed_certificate_replaces_the_old_one_once_it_is_used(centre: Centre) -> None:
    core, site = SmallCore(centre.alpha), await centre.site()
    old = site.current()
    link = await centre.agent(core, site)
    assert not site.due()
    await site.renew()
    new = site.newest()
    assert old
    assert new
    assert (new.certificate.serial_number, new.key) != (old.certificate.serial_number, old.key)
    assert site.current() == old, "until the new one was used, the old one stays"
    link.renewed()
    await centre.events.until("connected", 2)
    await eventually(lambda: site.current() == new)
    assert not (site._folder / NEXT).exists()
    assert await refused(centre, old) == "A newer certificate has replaced this one."
    assert centre.hub.links.online(centre.alpha)


async def test_a_lost_answer_to_a_renewal_harms_nothing(centre: Centre) -> None:
    old, key = await centre.enrolled(), new_key()
    async with centre.stream(old) as call:
        await shake_hands(centre, call)
    lost = await enrolment.renew(old, key)
    async with centre.stream(old) as call:
        await shake_hands(centre, call)  # the old one is still good
    again = await enrolment.renew(old, key)
    assert again.certificate == lost.certificate, "the same key gets the same certificate"
    other = await enrolment.renew(old, new_key())
    assert other.certificate != lost.certificate
    async with centre.stream(other) as call:
        await shake_hands(centre, call)
    assert await refused(centre, old) == "A newer certificate has replaced this one."
    assert await refused(centre, lost) == "A newer certificate has replaced this one.", "earlier candidates too"


async def test_an_agent_goes_on_with_its_old_certificate_when_the_centre_forgot_the_new_one(
    centre: Centre,
) -> None:
    site = await centre.site()
    await (await connected_once(centre, site))()
    await site.renew()
    new = site.newest()
    assert new
    await centre.do(forget, new.certificate.serial_number)
    await centre.agent(SmallCore(centre.alpha), site)
    assert site.current() != new


async def connected_once(centre: Centre, site: object) -> object:
    await centre.agent(SmallCore(centre.alpha), site)  # type: ignore[arg-type]
    return centre.kill


def forget(serial: int) -> None:
    from central_portal.enrolment.models import Certificate

    assert Certificate.objects.filter(serial=f"{serial:x}").delete()[0] == 1


async def test_few_unused_certificates_wait_at_a_time(centre: Centre) -> None:
    old = await centre.enrolled()
    async with centre.stream(old) as call:
        await shake_hands(centre, call)
    asked = [await enrolment.renew(old, new_key()) for _ in range(6)]
    rows = await centre.do(certificates_of, centre.alpha)
    assert [retired for _, used, retired in rows if not used] == [True, True, False, False, False, False]
    assert await refused(centre, asked[0]) == "A newer certificate has replaced this one."
    async with centre.stream(asked[2]) as call:
        await shake_hands(centre, call)


async def test_revoking_cuts_the_session_within_five_seconds_and_nothing_is_executed_after(centre: Centre) -> None:
    core, site = SmallCore(centre.alpha), await centre.site()
    other, stolen = SmallCore(centre.beta), site.current()
    await centre.agent(other, await centre.site(centre.beta))
    await centre.agent(core, site)
    assert stolen
    began = time.monotonic()
    assert await centre.do(operate.revoke, centre.alpha, None, centre.clock()) == 1
    await centre.events.until("disconnected")
    assert time.monotonic() - began < 5.0
    handled = len(core.handled)
    with pytest.raises(FacilityUnavailable):
        await centre.hub.links.ask(centre.alpha, Verb.SEARCH, search("late", centre.alpha), 1.0)
    assert await refused(centre, stolen) == "This certificate was revoked; enrol again."
    with pytest.raises(EnrolmentFailed, match="was revoked") as told:
        await site.renew()
    assert told.value.reason == "CERTIFICATE_REVOKED"
    assert len(core.handled) == handled
    assert len(centre.events.of("connected")) == 2, "nobody came back"
    assert centre.hub.links.online(centre.beta), "another facility's session is left alone"


async def test_one_certificate_can_be_revoked(centre: Centre) -> None:
    site = await centre.site()
    await centre.agent(SmallCore(centre.alpha), site)
    identity = site.current()
    assert identity
    serial = f"{identity.certificate.serial_number:X}"
    colons = ":".join(f"{int(serial, 16):040x}"[i : i + 2] for i in range(0, 40, 2))
    assert await centre.do(operate.revoke, centre.alpha, colons, centre.clock()) == 1
    await centre.events.until("disconnected")
    key = load_key(site._key_file)
    again = await enrolment.recover(identity, key, new_key(), centre.clock)
    async with centre.stream(again) as call:
        await shake_hands(centre, call)


async def test_a_facility_that_is_switched_off_is_cut_and_comes_back_when_it_is_on(centre: Centre) -> None:
    site = await centre.site()
    await centre.agent(SmallCore(centre.alpha), site)
    await centre.do(operate.switch, centre.federation, centre.alpha, enabled=False)
    await centre.events.until("disconnected")
    identity = site.current()
    assert await refused(centre, identity) == "This facility is switched off at the centre."
    with pytest.raises(EnrolmentFailed, match="switched off"):
        await site.renew()
    await centre.do(operate.switch, centre.federation, centre.alpha, enabled=True)
    await centre.events.until("connected", 2)


async def test_a_removed_facility_stays_out_even_when_it_is_added_again(centre: Centre) -> None:
    identity, slug = await centre.enrolled(), centre.alpha
    await centre.do(operate.remove, centre.federation, slug, centre.clock())
    assert await refused(centre, identity) == "The centre does not know this facility."
    await centre.do(operate.add, centre.federation, slug, slug, "https://a.example", "w.example")
    assert await refused(centre, identity) == "This certificate was revoked; enrol again."


async def test_an_expired_certificate_is_recovered_a_bounded_number_of_times(centre: Centre) -> None:
    centre.clock.ahead = -3 * DAY
    site = await centre.site()
    centre.clock.ahead = 0.0
    expired = site.current()
    assert expired
    async with centre.stream(expired) as call:
        assert await ending(call) is grpc.StatusCode.UNAVAILABLE, "TLS lets it in no more"
    assert site.due()
    await site.renew()
    await centre.agent(SmallCore(centre.alpha), site)
    assert site.current() != expired
    with pytest.raises(EnrolmentFailed, match="holds for another 48 hours") as told:
        await enrolment.recover(expired, load_key(site._key_file), new_key(), centre.clock)
    assert told.value.reason == "CERTIFICATE_GOOD"
    await centre.kill()
    newest = site.current()
    assert newest
    await centre.do(operate.revoke, centre.alpha, f"{newest.certificate.serial_number:x}", centre.clock())
    for _ in range(4):
        made = await enrolment.recover(expired, load_key(site._key_file), new_key(), centre.clock)
        await centre.do(operate.revoke, centre.alpha, f"{made.certificate.serial_number:x}", centre.clock())
    rows = await centre.do(certificates_of, centre.alpha)
    with pytest.raises(EnrolmentFailed, match="recovered 5 times within a week; enrol it again") as told:
        await enrolment.recover(expired, load_key(site._key_file), new_key(), centre.clock)
    assert told.value.reason == "RECOVERY_LIMIT"
    assert await centre.do(certificates_of, centre.alpha) == rows
    centre.clock.ahead = 8 * DAY
    assert await enrolment.recover(expired, load_key(site._key_file), new_key(), centre.clock)


async def test_a_lost_answer_to_a_recovery_is_given_again_and_counts_once(centre: Centre) -> None:
    centre.clock.ahead = -3 * DAY
    site = await centre.site()
    centre.clock.ahead = 0.0
    expired, key, mine = site.current(), new_key(), load_key(site._key_file)
    assert expired
    first = await enrolment.recover(expired, mine, key, centre.clock)
    for _ in range(6):
        assert (await enrolment.recover(expired, mine, key, centre.clock)).certificate == first.certificate


async def test_a_newer_enrolment_replaces_the_older_once_it_is_used(centre: Centre) -> None:
    key = Ed25519PrivateKey.generate()
    first = await centre.enrolled(key=key)
    async with centre.stream(first) as call:
        await shake_hands(centre, call)
    second = await centre.enrolled()
    async with centre.stream(first) as call:
        await shake_hands(centre, call)  # the new one has not come yet
    renewed = await enrolment.renew(first, new_key())
    async with centre.stream(renewed) as call:
        await shake_hands(centre, call)
    async with centre.stream(second) as call:
        await shake_hands(centre, call)  # a renewal of the old agent has not spoilt the enrolment
    assert second.name.endswith("/agent/2")
    assert await refused(centre, renewed) == "A newer certificate has replaced this one."
    with pytest.raises(EnrolmentFailed, match="Another agent of this facility has replaced this one"):
        await enrolment.recover(first, key, new_key(), centre.clock)


@pytest.mark.parametrize("skew", [-300.0, 300.0])
async def test_an_agent_whose_clock_is_five_minutes_off_enrols_and_connects(centre: Centre, skew: float) -> None:
    token = await centre.token()
    made = await enrolment.enrol(token, Ed25519PrivateKey.generate(), new_key(), lambda: time.time() + skew)
    async with centre.stream(made) as call:
        await shake_hands(centre, call)


@pytest.mark.parametrize(("skew", "says"), [(-3600.0, "60 minutes behind"), (10_800.0, "3 hours ahead of")])
async def test_an_agent_whose_clock_is_an_hour_off_is_told_so_and_keeps_its_token(
    centre: Centre, skew: float, says: str
) -> None:
    token, key = await centre.token(), Ed25519PrivateKey.generate()
    with pytest.raises(EnrolmentFailed, match=f"The clock of the agent's machine is {says} the centre's") as told:
        await enrolment.enrol(token, key, new_key(), lambda: time.time() + skew)
    assert told.value.reason == "CLOCK_SKEW"
    assert await centre.do(certificates_of, centre.alpha) == []
    assert await enrolment.enrol(token, key, new_key())


async def test_an_agent_that_reaches_only_the_first_port_is_told_so(centre: Centre) -> None:
    site = await centre.site()
    await (await connected_once(centre, site))()
    identity = site.current()
    assert identity
    write_identity(site._folder / CURRENT, replace(identity, mutual=f"127.0.0.1:{free_port()}"))
    with pytest.raises(EnrolmentFailed, match="cannot be reached") as told:
        await site.renew()
    assert told.value.reason == "UNREACHABLE"
    with pytest.raises(EnrolmentFailed, match="the hub's port for certificates cannot be reached") as told:
        await site.renew(stuck=True)
    assert told.value.reason == "CERTIFICATE_GOOD"
    assert len(await centre.do(certificates_of, centre.alpha)) == 1


async def test_an_agent_whose_clock_hides_that_its_certificate_expired_is_told_so(centre: Centre) -> None:
    centre.clock.ahead = -3 * DAY
    site = await centre.site()
    behind = Certificates(site._folder, centre.alpha, site._key_file, lambda: time.time() - 3 * DAY)
    centre.clock.ahead = 0.0
    assert not behind.due()
    with pytest.raises(EnrolmentFailed, match="is 3 days behind the centre's; mend it"):
        await behind.renew(stuck=True)
    assert len(await centre.do(certificates_of, centre.alpha)) == 1
    await site.renew()
    await centre.agent(SmallCore(centre.alpha), site)


async def test_where_no_certificates_are_taken_an_enrolled_key_signs_tokens(tmp_path: Path) -> None:
    async with open_centre(tmp_path, plaintext=True) as centre:
        site = await centre.site()
        identity = site.current()
        assert identity
        assert (identity.mutual, identity.authorities, site.seconds_left()) == ("", b"", None)
        await centre.agent(SmallCore(centre.alpha), site)
        began = time.monotonic()
        await centre.do(operate.revoke, centre.alpha, None, centre.clock())
        await centre.events.until("disconnected")
        assert time.monotonic() - began < 5.0
        assert len(centre.events.of("connected")) == 1


async def test_where_certificates_are_taken_an_enrolled_key_signs_no_tokens(centre: Centre) -> None:
    site = await centre.site()
    identity = site.current()
    assert identity
    token = signed_token(load_key(site._key_file), centre.alpha, "hub", time.time())
    credentials = grpc.ssl_channel_credentials(identity.authorities)
    target = f"127.0.0.1:{centre.hub.port}"
    async with open_stream(target, credentials, (("authorization", f"Bearer {token}"),)) as stream:
        with pytest.raises(StreamLost, match="refused the agent's token"):
            await stream.read()
    assert centre.events.seen == []


async def test_a_running_agent_renews_when_it_is_time(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "LOOK_EVERY", 0.05)
    centre.clock.ahead = -0.68 * 2 * DAY
    site = await centre.site()
    link = await centre.agent(SmallCore(centre.alpha), site)
    old, keeping = site.current(), asyncio.create_task(site.keep(link.renewed, lambda: link.connected))
    centre.tasks.append(keeping)
    assert old
    assert not site.due()
    centre.clock.ahead = 0.0
    await eventually(lambda: site.current() != old)
    await centre.events.until("connected", 2)
    assert read_identity(site._folder / NEXT) is None
    assert site.problem == ""
