"""A copy of the centre's database with all its keys, and a recording of everything on the link, command nothing."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from central_portal.identity.sealing import grant_label, sealing_key, unseal
from central_portal.link.hub import Hub, HubSettings
from central_portal.link.ports import (
    Admission,
    Beat,
    FacilityKey,
    HelloFacts,
    HubPlace,
    OpenOrder,
    OrderAnswer,
    OrderState,
    SealedBody,
)
from facility_agent.link.client import AgentLink, LinkSettings
from facility_agent.testing.memory_compute import Machine
from facility_agent.testing.patience import eventually
from shared.catalogue import SearchPage, SearchQuery
from shared.commands import ORDERS, Answer, GetDataset, Release, Stop, Unlink, Verb
from shared.errors import ParasolError
from shared.facilities import Outcome
from shared.identity import Scope, Subject
from shared.wire import proof
from shared.wire.commands import decode_body, encode_body
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.workspaces import WorkspaceReport, WorkspaceState
from tests.facility_scene import ADA, BEN, FacilityScene, launch_request, refused
from tests.integration.openid import Op, serving
from tests.integration.stolen import Loot, Tape
from tests.integration.tab import SESSION, Tab, visit
from tests.integration.whole_centre import running_centre
from tests.link_parts import Recorder

Attempt = tuple[Verb, bytes, str, bytes]
WORKSPACE = str(uuid.uuid4())
LAUNCH = (
    'mutation{{launchWorkspace(input:{{id:"{id}",environment:"Environment:alpha:jupyter",flavour:"Flavour:alpha:small",'
    'proposals:["P-1"],title:"Mine",lifetimeSeconds:3600}}){{workspace{{uuid}} problem{{code message}}}}}}'
)


class StolenRegistry:
    """What the federation's file says of the facility: the attacker's hub lets the same agent in."""

    def __init__(self, key: bytes) -> None:
        self._key, self._epoch = key, 1_000_000

    async def key_of(self, facility_id: str) -> FacilityKey | None:
        return FacilityKey(facility_id, self._key)

    async def admit(self, facility_id: str, hello: HelloFacts, hub: HubPlace) -> Admission:
        self._epoch += 1
        return Admission(self._epoch)

    async def renew(self, hub_id: str, sessions: Mapping[str, Beat]) -> frozenset[str]:
        return frozenset(sessions)

    async def close(self, facility_id: str, epoch: int, ending: str) -> None:
        pass


class Ear(Recorder):
    """Hears the result of each of the attacker's orders."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[str, asyncio.Future[OrderAnswer]] = {}
        self._one: dict[str, asyncio.Lock] = {}

    async def order(self, hub: Hub, order_id: str, sealed: SealedBody) -> OrderAnswer:
        """One of an id after another, as the link has it."""
        async with self._one.setdefault(order_id, asyncio.Lock()), asyncio.timeout(20):
            heard = self._waiting[order_id] = asyncio.get_running_loop().create_future()
            self.queue.rows[order_id] = OpenOrder(order_id, "alpha", OrderState.SENT, sealed)
            hub.links.deliver("alpha")
            answer: OrderAnswer = await heard
            return answer

    async def settled(self, facility_id: str, epoch: int, answers: Sequence[OrderAnswer]) -> list[str]:
        for answer in answers:
            self.queue.rows.pop(answer.order_id, None)
            self._waiting.pop(answer.order_id).set_result(answer)
        return [answer.order_id for answer in answers]


@dataclass
class Heist:
    """The facility goes on; the centre is the attacker's now."""

    scene: FacilityScene
    tape: Tape
    loot: Loot
    hub: Hub
    ear: Ear
    cookies: dict[str, dict[str, str]]

    async def send(self, verb: Verb, body: bytes, grant_id: str, mac: bytes, order_id: str = "") -> Answer:
        """An order goes under the id in its body, when there is one and no other is given."""
        if verb not in ORDERS:
            return await self.ask(verb, body, grant_id, mac)
        heard = await self.ear.order(self.hub, order_id or id_in(body), SealedBody(body, grant_id, mac))
        return heard.read(verb)

    async def ask(self, verb: Verb, body: bytes, grant_id: str, mac: bytes) -> Answer:
        """As a query, whatever it is."""
        return await self.hub.links.ask("alpha", verb, SealedBody(body, grant_id, mac), 10)

    def recorded(self, verb: Verb, subject: Subject | None = None) -> list[SealedBody]:
        """The personal commands of a verb on the tape."""
        words: list[pb.Command | pb.Order] = [*self.tape.commands(), *self.tape.orders()]
        sent = [SealedBody(word.body, word.grant_id, word.mac) for word in words if word.grant_id]
        return [s for s in sent if decode_body(s.body).verb is verb]

    def grants(self) -> set[str]:
        return {sent.grant_id for verb in Verb for sent in self.recorded(verb)}

    def body(self, verb: Verb, parameters: Any, command_id: str = "") -> bytes:
        expires = int((self.scene.now + 60) * 1000)
        return encode_body("alpha", command_id or str(uuid.uuid4()), verb, parameters, expires)

    def world(self) -> tuple[Any, ...]:
        """Everything at the facility that an attack could have changed."""
        scene = self.scene
        return scene.rows(), list(scene.machine.started), scene.machine.running(WORKSPACE), len(scene.told)


def id_in(body: bytes) -> str:
    try:
        return decode_body(body).command_id
    except ParasolError:
        return str(uuid.uuid4())


def consent(scene: FacilityScene, subject: Subject, sid: str, authorize_url: str) -> Any:
    """The gateway's half of a visit: the path and query of the portal's callback."""

    async def go() -> str:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(authorize_url).query).items()}
        scopes = frozenset(Scope(word) for word in asked["scope"].split())
        issued = await scene.grants.issue(subject, sid, scopes, asked["code_challenge"], asked["key"])
        back = {"code": issued.code, "key": issued.key, "state": asked["state"], "iss": "http://alpha.localhost:9"}
        return f"{urlsplit(asked['redirect_uri']).path}?{urlencode(back)}"

    return go()


async def journey(scene: FacilityScene, op: Op, tab: Tab, subject: Subject, urls: list[str]) -> None:
    """Somebody signs in, fetches a grant, and searches."""
    op.person = (subject.sub, f"sid-{subject.sub}")
    await asyncio.to_thread(tab.sign_in, op)
    start = await asyncio.to_thread(visit, tab)
    callback = await consent(scene, subject, f"gateway-{subject.sub}", start.location)
    urls += [start.location, callback]
    done = await asyncio.to_thread(tab.get, callback, "cross-site")
    assert done.location.endswith("outcome=OK"), done.location
    found = await asyncio.to_thread(tab.found)
    assert found == ({"d-1", "d-2", "d-o"} if subject == ADA else {"d-3", "d-o"})


@asynccontextmanager
async def dialled(scene: FacilityScene, folder: Path, hub: str) -> AsyncIterator[AgentLink]:
    settings = LinkSettings(
        "alpha", hub, "parasol-hub", folder / "agent.key", "s", 1, plaintext=True, first_pause=0.02
    )
    link = AgentLink(settings, scene.core, desk=scene.orders)
    tasks = [asyncio.create_task(part()) for part in (link.run, scene.workspaces.watch, scene.orders.watch)]
    try:
        yield link
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await scene.orders.stop()
        await scene.workspaces.leave()


async def ready(link: AgentLink, connected: bool = True) -> None:
    async def look() -> bool:
        return link.connected is connected

    await eventually(look, f"the agent is {'' if connected else 'not '}connected")


@pytest.fixture
async def heist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Heist]:
    tape, urls, cookies = Tape(), list[str](), dict[str, dict[str, str]]()
    monkeypatch.setattr("facility_agent.link.client.open_stream", tape.open)
    for name in ("site", "centre"):
        (tmp_path / name).mkdir()
    with tempfile.TemporaryDirectory(prefix="pa-", dir="/tmp") as short:
        scene = FacilityScene(tmp_path / "site", Machine(Path(short)))
        await scene.store.probe()
        scene.now = time.time()  # and there it stays: no recorded command grows too old for the attacker
        await scene.link()
        await scene.link(BEN, "ben")
        with serving(Op()) as op, running_centre(tmp_path / "centre", op) as (centre, stand_in):
            hub, key = stand_in.hub, stand_in.key.public_key().public_bytes_raw()
            async with dialled(scene, tmp_path / "centre", hub) as link:
                await ready(link)
                for subject in (ADA, BEN):
                    tab = centre.tab()
                    await journey(scene, op, tab, subject, urls)
                    cookies[subject.sub] = dict(tab.cookies)
                    if subject == ADA:
                        made = await asyncio.to_thread(tab.graphql, LAUNCH.format(id=WORKSPACE))
                        assert made["launchWorkspace"]["problem"] is None, made
                        await scene.until(WORKSPACE, WorkspaceState.RUNNING)
                        await eventually(lambda: acknowledged(scene), "the centre has the result")
                copy = tmp_path / "stolen"
                await asyncio.to_thread(shutil.copytree, tmp_path / "centre", copy, ignore=only_the_centres)
                await asyncio.to_thread(
                    copied, *(at / "data" / "centre.sqlite3" for at in (tmp_path / "centre", copy))
                )
                await asyncio.to_thread(centre.stop)
                await ready(link, connected=False)
                words = [word for url in urls for word in parts(url)]
                recording = Tape(list(tape.down), list(tape.up), list(tape.tokens))
                loot = Loot.of(copy, recording, *words)
                ear, settings = Ear(), HubSettings(hub, "parasol-hub", plaintext=True, drain=0.2)
                mine = Hub(settings, StolenRegistry(key), ear, ear.queue)
                await mine.start()
                try:
                    await ready(link)
                    yield Heist(scene, recording, loot, mine, ear, cookies)
                finally:
                    await mine.stop()
        scene.machine.close()
        scene.store.close()


async def acknowledged(scene: FacilityScene) -> bool:
    return (await scene.orders.counts()).unacknowledged == 0


def only_the_centres(_: str, names: list[str]) -> Iterable[str]:
    """The facility's own files lie beside the centre's here; they are not the centre's to lose. See `copied` for the rest."""
    return [name for name in names if name.startswith(("agent.", "vault.", "feed.", "centre.sqlite3"))]


def copied(source: Path, target: Path) -> None:
    """A whole copy of a database that is being written: its files one after the other would be torn."""
    with closing(sqlite3.connect(source)) as ours, closing(sqlite3.connect(target)) as theirs:
        ours.backup(theirs)


def parts(url: str) -> list[str]:
    """Every word of an address: an access log that was stolen too."""
    return [value for values in parse_qs(urlsplit(url).query).values() for value in values]


async def test_a_stolen_centre_with_a_recording_commands_nothing(heist: Heist) -> None:
    """One heist, every attack: setting it up takes longer than all of them."""
    before = heist.world()
    secrets = true_secrets(heist)
    await the_tape_holds_what_the_attacker_needs(heist)
    await nothing_derived_opens_or_signs(heist, secrets)
    await recorded_commands_do_nothing_again(heist)
    await changed_commands_are_refused(heist)
    await commands_under_other_grants_are_refused(heist)
    await commands_of_the_attackers_own_are_refused(heist)
    assert heist.world() == before, "nothing at the facility has changed"
    await the_person_still_can(heist, secrets)


def true_secrets(heist: Heist) -> dict[str, bytes]:
    """Positive control, by what only the browsers have: the boxes do hold secrets that sign."""
    secrets = {}
    for facility, grant_id, box in heist.loot.boxes:
        for cookies in heist.cookies.values():
            secret = unseal(sealing_key(cookies[SESSION]), grant_label(facility, grant_id), box)
            if secret is not None:
                secrets[grant_id] = secret
    assert set(secrets) == heist.grants()
    for sent in heist.recorded(Verb.SEARCH):
        assert proof.mac(secrets[sent.grant_id], sent.body) == sent.mac
    return secrets


async def the_tape_holds_what_the_attacker_needs(heist: Heist) -> None:
    assert len(heist.recorded(Verb.SEARCH)) == 2
    assert len(heist.recorded(Verb.LAUNCH)) == len(heist.tape.orders()) == 1
    redeems = [c for c in heist.tape.commands() if decode_body(c.body).verb is Verb.REDEEM]
    assert len(redeems) == 2
    assert len(heist.loot.boxes) == 2
    hashes = {decode_body(c.body).parameters.code_hash.encode() for c in redeems}  # type: ignore[union-attr]
    assert hashes <= heist.loot.values


async def nothing_derived_opens_or_signs(heist: Heist, secrets: dict[str, bytes]) -> None:
    keys = heist.loot.keys()
    assert len(keys) > 1000
    assert heist.loot.opened(keys) == []
    in_a_browser = [word.encode() for cookies in heist.cookies.values() for word in cookies.values()]
    with_browsers = Loot(heist.loot.boxes, heist.loot.values | set(in_a_browser))
    assert set(with_browsers.opened(())) == set(secrets.values()), (
        "the check sees: a browser's cookie opens its box"
    )
    assert with_browsers.keys() >= set(secrets.values()), "and its attempt makes the secret anew"
    recorded = [sent for verb in Verb for sent in heist.recorded(verb)]
    signs = [k for k in keys | heist.loot.values for sent in recorded if proof.mac(k, sent.body) == sent.mac]
    assert signs == []
    assert not keys & set(secrets.values())
    body = heist.body(Verb.SEARCH, SearchQuery())
    tried = sorted(keys)[:: max(1, len(keys) // 200)]
    for grant_id in heist.grants():
        for answer in await every(heist, [(Verb.SEARCH, body, grant_id, proof.mac(key, body)) for key in tried]):
            refused(answer, "SIGN_IN_NEEDED")


async def recorded_commands_do_nothing_again(heist: Heist) -> None:
    for sent in heist.recorded(Verb.SEARCH):
        for _ in range(3):
            refused(await heist.send(Verb.SEARCH, sent.body, sent.grant_id, sent.mac), "REPLAYED")
    started = list(heist.scene.machine.started)
    (order,) = heist.recorded(Verb.LAUNCH)
    for _ in range(3):
        answer = await heist.send(Verb.LAUNCH, order.body, order.grant_id, order.mac)
        assert isinstance(answer.payload, WorkspaceReport), "an order is answered from the store"
        assert (answer.payload.workspace_id, answer.payload.state) == (WORKSPACE, WorkspaceState.STARTING)
        refused(await heist.ask(Verb.LAUNCH, order.body, order.grant_id, order.mac), "INVALID_REQUEST")
        another = str(uuid.uuid4())
        answer = await heist.send(Verb.LAUNCH, order.body, order.grant_id, order.mac, order_id=another)
        refused(answer, "INVALID_REQUEST")
    assert heist.scene.machine.started == started == [WORKSPACE]
    for command in heist.tape.commands():
        if decode_body(command.body).verb is Verb.REDEEM:
            refused(await heist.send(Verb.REDEEM, command.body, "", b""), "SIGN_IN_NEEDED")


async def changed_commands_are_refused(heist: Heist) -> None:
    sent = [heist.recorded(Verb.SEARCH)[0], heist.recorded(Verb.LAUNCH)[0]]
    search, launch = (changes(s, verb) for s, verb in zip(sent, (Verb.SEARCH, Verb.LAUNCH), strict=True))
    assert len(search) + len(launch) > 1000
    for answer in await every(heist, search):
        refused(answer, "SIGN_IN_NEEDED", "INVALID_REQUEST")
    for answer in await every(heist, launch, order_id=lambda: str(uuid.uuid4())):
        refused(answer, "SIGN_IN_NEEDED", "INVALID_REQUEST")
    for answer in await every(heist, launch[::5], order_id=lambda: WORKSPACE):
        refused(answer, "CONFLICT")


def changes(sent: SealedBody, verb: Verb) -> list[Attempt]:
    """Every way to change it a little."""
    body, grant_id, mac = sent.body, sent.grant_id, sent.mac
    made = [(verb, body, grant_id, other) for other in flipped(mac, 1)]
    made += [(verb, other, grant_id, mac) for other in flipped(body, 3)]
    made += [(verb, body, other, mac) for other in flipped_text(grant_id)]
    made += [(verb, body + more, grant_id, mac) for more in (b"\x28\xff\xff\xff\xff\x0f", body)]
    return made


async def commands_under_other_grants_are_refused(heist: Heist) -> None:
    attempts = []
    for verb in (Verb.SEARCH, Verb.LAUNCH):
        for sent in heist.recorded(verb):
            others = heist.grants() - {sent.grant_id}
            assert others
            attempts += [(verb, sent.body, other, sent.mac) for other in (*others, str(uuid.uuid4()))]
    (order,) = heist.recorded(Verb.LAUNCH)
    attempts += [(Verb.LAUNCH, order.body, "", mac) for mac in (b"", order.mac)]
    for answer in await every(heist, attempts, order_id=lambda: str(uuid.uuid4())):
        refused(answer, "SIGN_IN_NEEDED")
    for attempt in (a for a in attempts if a[0] is Verb.LAUNCH):
        refused(await heist.send(*attempt), "CONFLICT")
        refused(await heist.ask(*attempt), "SIGN_IN_NEEDED", "INVALID_REQUEST")


async def commands_of_the_attackers_own_are_refused(heist: Heist) -> None:
    """New commands with MACs that were seen, for what a person could do."""
    macs = [sent.mac for verb in Verb for sent in heist.recorded(verb)] + [bytes(32), b""]
    wishes: list[tuple[Verb, Any, str]] = [
        (Verb.STOP, Stop(WORKSPACE), ""), (Verb.UNLINK, Unlink(), ""), (Verb.RELEASE, Release(), ""),
        (Verb.GET, GetDataset("d-1"), ""), (Verb.LAUNCH, launch_request(), str(uuid.uuid4())),
        (Verb.LAUNCH, launch_request(title="Yours"), WORKSPACE),
    ]  # fmt: skip
    attempts = [
        (verb, heist.body(verb, wish, command_id), grant_id, mac)
        for verb, wish, command_id in wishes for grant_id in heist.grants() for mac in macs
    ]  # fmt: skip
    for (_, body, _, _), answer in zip(attempts, await every(heist, attempts), strict=True):
        refused(answer, "CONFLICT" if id_in(body) == WORKSPACE else "SIGN_IN_NEEDED")
    public = await heist.send(Verb.SEARCH, heist.body(Verb.SEARCH, SearchQuery()), "", b"")
    assert isinstance(public.payload, SearchPage)
    assert {d.pid for d in public.payload.datasets} == {"d-o"}, "what anybody may have, the attacker has too"
    refused(await heist.send(Verb.GET, heist.body(Verb.GET, GetDataset("d-1")), "", b""), "NOT_FOUND")


async def the_person_still_can(heist: Heist, secrets: dict[str, bytes]) -> None:
    """And with the secret it works: it was the proof that was missing, not the way."""
    (order,) = heist.recorded(Verb.LAUNCH)
    body = heist.body(Verb.SEARCH, SearchQuery())
    heist.scene.now += 2
    answer = await heist.send(Verb.SEARCH, body, order.grant_id, proof.mac(secrets[order.grant_id], body))
    assert answer.outcome is Outcome.OK


async def every(heist: Heist, attempts: list[Attempt], order_id: Callable[[], str] = lambda: "") -> list[Answer]:
    """All of them, a few at a time; orders under these ids."""
    answers: list[Answer] = []
    for begin in range(0, len(attempts), 32):
        group = attempts[begin : begin + 32]
        answers += await asyncio.gather(*(heist.send(*attempt, order_id=order_id()) for attempt in group))
    assert len(answers) == len(attempts)
    return answers


def flipped(data: bytes, step: int) -> list[bytes]:
    """`data` with one bit changed, at every `step`-th position."""
    made = []
    for position in range(0, len(data) * 8, step):
        other = bytearray(data)
        other[position // 8] ^= 1 << position % 8
        made.append(bytes(other))
    return made


def flipped_text(text: str) -> list[str]:
    """The same of a text, where it stays one."""
    return [other.decode() for other in flipped(text.encode(), 1) if other.isascii() and b"\0" not in other]
