"""Facilities as rows beside those of federation.toml: what the operator may do, and how running processes hear of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from central_portal import agents
from central_portal.agents import listed
from central_portal.asgi import Entrance
from central_portal.composition import Shape, compose
from central_portal.database import in_database
from central_portal.enrolment import operate
from central_portal.enrolment.members import Roster, members, refuse_clashes
from central_portal.enrolment.models import Member
from central_portal.facilities import sessions
from central_portal.facilities.services import Facilities
from central_portal.federation import FacilityTable, Federation
from central_portal.link import orders
from central_portal.link.ports import HelloFacts, HubPlace, NewOrder, SealedBody
from central_portal.link.wakes_memory import MemoryWakes
from central_portal.settings import CentreSettings, SettingsError
from shared.commands import Verb
from shared.errors import NotFound
from shared.wire.facilities import encode_description
from shared.wire.proof import token
from tests.integration.portal import description

pytestmark = pytest.mark.usefixtures("database")
PINNED = FacilityTable(
    id="pinned", name="Pinned", gateway="https://pinned.example", workspace_zone="w-pinned.example"
)
FEDERATION = Federation(facilities=(PINNED,))


@pytest.fixture
async def slug() -> AsyncIterator[str]:
    name = f"row-{token()[:8].lower().replace('_', '0').replace('-', '1')}"
    yield name
    await do(lambda: Member.objects.filter(slug=name).delete())


async def do(work: object, *arguments: object, **named: object) -> object:
    return await in_database(work)(*arguments, **named)  # type: ignore[arg-type]


async def add(slug: str) -> None:
    await do(operate.add, FEDERATION, slug, "Row", "https://Row.example", "W-row.example")


async def test_a_row_takes_part_like_a_table_and_each_change_is_another_version(slug: str) -> None:
    untouched = PINNED.model_copy(update={"id": "untouched"})
    known = Federation(facilities=(untouched,))
    versions = [(await do(members, FEDERATION)).version]  # type: ignore[attr-defined]

    async def changed() -> FacilityTable | None:
        found = await do(members, FEDERATION)
        versions.append(found.version)  # type: ignore[attr-defined]
        return next((t for t in found.tables if t.id == slug), None)  # type: ignore[attr-defined]

    await add(slug)
    table = await changed()
    assert table
    assert (table.name, table.gateway, table.public_key) == ("Row", "https://row.example", "")
    await do(operate.change, FEDERATION, slug, gateway="https://other.example")
    assert (await changed()).gateway == "https://other.example"  # type: ignore[union-attr]
    await do(operate.switch, FEDERATION, slug, enabled=False)
    assert await changed() is None
    assert (await do(members, FEDERATION)).refusal(slug) == "This facility is switched off at the centre."  # type: ignore[attr-defined]
    shown = {agent["facility"]: agent["state"] for agent in await do(listed, known)}  # type: ignore[attr-defined]
    assert shown["untouched"] == "never connected"
    assert shown[slug] == "disabled"
    await do(operate.remove, FEDERATION, slug, 1.0)
    assert await changed() is None
    assert len(set(versions)) == 4
    assert versions[0] == versions[-1]


@pytest.mark.parametrize(
    ("slug_", "gateway", "zone", "says"),
    [
        ("pinned", "https://x.example", "w.example", "facility pinned is in federation.toml already"),
        ("Not-A-Slug", "https://x.example", "w.example", "id: must be a slug"),
        ("fine", "http://x.example", "w.example", "gateway: must be https"),
        ("fine", "https://x.example/path", "w.example", "gateway: must be an origin"),
        ("fine", "https://x.example", "*.w.example", r"workspace_zone: must be a domain .* without \*"),
        ("fine", "https://x.example", "https://w.example", "workspace_zone: must be a domain"),
        ("fine", "https://x.example", "example", "workspace_zone: it and the gateway lie in one another"),
        ("fine", "https://x.example", "w.x.example", "workspace_zone: it and the gateway lie in one another"),
        ("fine", PINNED.gateway, "w.example", "gateway: is that of facility pinned"),
        ("fine", "https://x.example", PINNED.workspace_zone, "workspace_zone: is that of facility pinned"),
    ],
)
async def test_what_cannot_take_part_is_refused(slug_: str, gateway: str, zone: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        await do(operate.add, FEDERATION, slug_, "Name", gateway, zone)
    assert not await do(Member.objects.filter(slug=slug_).exists)


async def test_what_is_pinned_in_the_file_is_changed_there(slug: str) -> None:
    for work in (
        lambda: operate.change(FEDERATION, "pinned", name="X"),
        lambda: operate.switch(FEDERATION, "pinned", enabled=False),
        lambda: operate.remove(FEDERATION, "pinned", 1.0),
    ):
        with pytest.raises(SettingsError, match=r"is in federation\.toml; change it there"):
            await do(work)
    with pytest.raises(SettingsError, match=f"there is no facility {slug}"):
        await do(operate.remove, FEDERATION, slug, 1.0)
    await add(slug)
    with pytest.raises(SettingsError, match="was added before"):
        await add(slug)
    with pytest.raises(SettingsError, match="nothing to change"):
        await do(operate.change, FEDERATION, slug)
    with pytest.raises(SettingsError, match="has no agent and no token"):
        await do(operate.revoke, slug, None, 1.0)
    with pytest.raises(SettingsError, match="gateway: must be https"):
        await do(operate.change, FEDERATION, slug, gateway="ftp://x")
    assert (await do(Member.objects.get, slug=slug)).gateway == "https://row.example"  # type: ignore[attr-defined]


async def test_the_same_id_in_both_places_stops_the_centre(slug: str) -> None:
    await add(slug)
    both = Federation(facilities=(PINNED.model_copy(update={"id": slug}),))
    with pytest.raises(SettingsError, match="take it out of the file, or run"):
        await do(refuse_clashes, both)
    await do(refuse_clashes, FEDERATION)
    found = await do(members, both)
    assert [t.gateway for t in found.tables if t.id == slug] == ["https://pinned.example"]  # type: ignore[attr-defined]


async def test_a_running_centre_adopts_what_changed_before_anybody_is_let_in(slug: str) -> None:
    facilities, entrance, roster = Facilities(FEDERATION, MemoryWakes()), Entrance("https://portal.example.eu", FEDERATION), Roster(FEDERATION)  # fmt: skip
    heard: list[str] = []
    facilities.subscribe(heard.append)

    def adopt(federation: Federation) -> None:
        facilities.adopt(federation.facilities)
        entrance.adopt(federation)

    roster.adopters.append(adopt)
    hello = HelloFacts("s", "i", 1, uuid.uuid4().hex, description=encode_description(description("pinned")))
    await do(sessions.admit, "pinned", hello, HubPlace("hub", "127.0.0.1:1"), 3600.0)
    await facilities.changed("pinned")
    await add(slug)
    await roster.look()
    assert facilities.get(slug).name == "Row"
    assert facilities.get("pinned").online, "who was there stays as it is"
    site = entrance("portal.example.eu")
    assert site
    assert b"https://row.example" in dict_of(site.headers)[b"content-security-policy"]
    assert f"/connect/{slug}/start" in site.starts
    version = facilities.version
    await roster.look()
    assert facilities.version == version, "nothing new"
    await do(operate.remove, FEDERATION, slug, 1.0)
    await roster.look()
    with pytest.raises(NotFound):
        facilities.get(slug)
    assert facilities.version > version
    assert heard.count(slug) == 2
    assert entrance("another.example") is None


async def test_a_hub_goes_on_when_a_facility_has_left(slug: str, tmp_path: Path) -> None:
    settings = CentreSettings(data=tmp_path, hub_plaintext=True)
    centre = compose(settings, FEDERATION, Shape.HUB)
    adopted: list[Federation] = []
    centre.roster.adopters.append(adopted.append)
    await add(slug)
    await centre.roster.look()
    await do(operate.remove, FEDERATION, slug, 1.0)
    await centre.roster.look()
    assert [bool(federation.facility(slug)) for federation in adopted] == [True, False]
    await centre.writer.close()


async def test_who_leaves_for_good_leaves_no_order_behind(slug: str) -> None:
    await add(slug)
    asked = [
        (Verb.LAUNCH, 9.0, False),
        (Verb.LAUNCH, 9.0, True),
        (Verb.STOP, None, False),
        (Verb.UNLINK, None, True),
    ]
    made = [
        (NewOrder(str(uuid.uuid4()), slug, verb, 1, "", SealedBody(b"b"), 1.0, expires), online)
        for verb, expires, online in asked
    ]
    other = NewOrder(str(uuid.uuid4()), "pinned", Verb.STOP, 1, "", SealedBody(b"b"), 1.0, None)
    await do(orders.insert, [*made, (other, True)])
    await do(operate.remove, FEDERATION, slug, 5.0)
    states = [(await do(orders.standing, order.id)).state.value for order, _ in [*made, (other, True)]]  # type: ignore[attr-defined]
    assert states == ["WAITING", "LOST", "LOST", "LOST", "SENT"], "what was never sent expires by itself"


async def test_the_operator_is_shown_every_agent(slug: str, capsys: pytest.CaptureFixture[str]) -> None:
    await add(slug)
    hello = HelloFacts("s", "i", 1, "store", description=encode_description(description(slug)))
    await do(sessions.admit, slug, hello, HubPlace("hub", "127.0.0.1:1"), 3600.0)
    assert await do(agents.show, as_json=True) == 0
    (shown,) = [agent for agent in json.loads(capsys.readouterr().out) if agent["facility"] == slug]
    assert (shown["state"], shown["hub"]) == ("online", "127.0.0.1:1")
    copied = replace(hello, instance_id="copy")
    assert (await do(sessions.admit, slug, copied, HubPlace("hub", "127.0.0.1:1"), 3600.0)).quarantined  # type: ignore[attr-defined]
    assert await do(agents.show, as_json=False) == 1
    assert f"{slug} is quarantined: Two agents run" in capsys.readouterr().out
    assert await do(agents.release, slug) == 0
    assert await do(agents.show, as_json=False) == 0


def dict_of(headers: object) -> dict[bytes, bytes]:
    return dict(headers)  # type: ignore[call-overload,no-any-return]
