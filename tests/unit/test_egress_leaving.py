"""A curious centre: whatever it asks, nothing outside the allow-list leaves, and nothing that is not recorded."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facility_agent.core.doorkeeper import CoreDoorkeeper
from facility_agent.egress.allow import FILE, allowed, written
from facility_agent.egress.files import LogFiles, log_files
from facility_agent.egress.log import EgressLog
from facility_agent.egress.people import Pseudonyms
from facility_agent.egress.policy import narrowed
from facility_agent.egress.reading import records, verify
from facility_agent.egress.recorder import Recorder
from facility_agent.gateway.traffic import Traffic
from facility_agent.link.desk import RecordedDesk
from facility_agent.link.leaving import Leaving
from facility_agent.link.running import Running
from facility_agent.ports.doorkeeper import LocalIdentity
from facility_agent.ports.egress import Head
from facility_agent.ports.link import AskedOrder
from facility_agent.store.vault import KeyFileVault
from shared.catalogue import ProposalQuery, SearchQuery
from shared.commands import ORDERS, GetChanges, GetDataset, GetFiles, Release, Restore, Stop, Unlink, Verb
from shared.errors import BackendUnavailable
from shared.link.outputs import CommandArrived
from shared.wire import proof
from shared.wire.commands import verb_of
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.sieve import _MESSAGES, PROBLEM, Sieve, schema
from tests.facility_scene import ADA, FacilityScene, dataset, launch_request

SECRET = b"/home/ada/.ssh/id_ed25519"


class Disk(LogFiles):
    """A disk that can be full."""

    full = False

    def append(self, lines: bytes, head: Head) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "full")
        super().append(lines, head)


class Site:
    """A facility whose word leaves through a real log. `left` is every message that left, in order."""

    def __init__(self, facility: FacilityScene) -> None:
        self.facility, self.folder = facility, facility.folder / "egress"
        self.head_file = facility.folder / "egress.head"
        self.disk = Disk(self.folder, self.head_file, 10**9)
        self.log = EgressLog(self.disk, facility.clock)
        self.people = Pseudonyms(facility.store, KeyFileVault(facility.folder / "vault.key"))
        self.recorder = Recorder(self.log, self.people, facility.clock)
        self.leaving = Leaving(Sieve(allowed(), facility.policy.paths), self.recorder)
        self.running = Running(facility.core, asyncio.Semaphore(8), self.leaving)
        self.desk = RecordedDesk(facility.orders, self.leaving)
        self.left: list[bytes] = []

    async def send(self, body: bytes, grant_id: str = "", mac: bytes = b"") -> Any:
        """What the centre hears of a command. When it leaves, its record is on the disk."""
        if verb_of(body) in ORDERS:
            order_id = pb.Body.FromString(body).command_id
            data = await self.desk.take(AskedOrder(order_id, body, grant_id, mac), lambda: None)
            if data is None:
                return None
            result: Any = pb.OrderResult.FromString(data)
        else:
            heard: asyncio.Future[pb.Result] = asyncio.get_running_loop().create_future()

            async def reply(said: pb.Result) -> None:
                heard.set_result(said)

            self.running.start(CommandArrived(7, body, grant_id, mac, 5.0, ""), reply)
            result = await asyncio.wait_for(heard, 5)
            data = result.SerializeToString(deterministic=True)
        self.left.append(data)
        return result

    def told(self) -> list[dict[str, Any]]:
        return list(records(self.folder))

    def verdict(self, given: Head | None = None) -> str:
        return verify(self.folder, self.head_file, given).problem


@pytest.fixture
async def site(at: FacilityScene) -> Any:
    made = Site(at)
    yield made
    await made.running.stop()
    made.log.close()


def filled(message: Any, depth: int = 0) -> Any:
    """A message with every field of the contract set."""
    for field in message.DESCRIPTOR.fields:
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            getattr(message, field.name)["key"] = "value"
        elif inner is not None:
            filled(getattr(message, field.name).add() if field.is_repeated else getattr(message, field.name))
        else:
            value = _value(field)
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
    return message


def _value(field: Any) -> Any:
    return {
        field.CPPTYPE_STRING: b"b" if field.type == field.TYPE_BYTES else "s", field.CPPTYPE_BOOL: True,
        field.CPPTYPE_DOUBLE: 1.5, field.CPPTYPE_FLOAT: 1.5,
    }.get(field.cpp_type, 1)  # fmt: skip


def paths(message: Any, prefix: str = "") -> Iterator[str]:
    """The paths that occur in a message; written apart from the sieve's own."""
    for field, value in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else [value]:
                yield from paths(each, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


WORDS = sorted(_MESSAGES)


def test_the_committed_list_is_the_contracts() -> None:
    assert FILE.read_text() == written(), "run `python -m facility_agent.egress.allow` and look at the diff"
    assert set(allowed()) >= {verb.value for verb in Verb}


@pytest.mark.parametrize("word", WORDS)
def test_every_field_leaves_by_the_list_alone(word: str) -> None:
    """Each path in turn is struck off the list: it alone stays, and what the contract does not know never leaves."""
    kind = _MESSAGES[word]
    data = filled(kind()).SerializeToString()
    strange = data + b"\xfa\x3e" + bytes([len(SECRET)]) + SECRET  # field 1007, text
    whole = set(paths(kind.FromString(data)))
    assert schema()[word] - whole <= {"parameters.number", "datasets.parameters.number"}, (
        "of a oneof the last one stands"
    )
    if word != PROBLEM:
        out, counts = Sieve(allowed()).payload(word, strange)
        assert SECRET not in out
        assert set(paths(kind.FromString(out))) == set(counts) == whole
    for path in whole:
        sieve = Sieve({word: whole - {path}})
        if word == PROBLEM:
            message = kind.FromString(strange)
            sieve.problem(message)  # type: ignore[arg-type]
        else:
            message = kind.FromString(sieve.payload(word, strange)[0])
        assert set(paths(message)) == whole - {path}
    nothing = Sieve({})
    if word != PROBLEM:
        assert set(paths(kind.FromString(nothing.payload(word, strange)[0]))) == set()


def commands(facility: FacilityScene, workspace_id: str) -> dict[Verb, Any]:
    return {
        Verb.SEARCH: SearchQuery(), Verb.GET: GetDataset("d-1"), Verb.FILES: GetFiles("d-1"),
        Verb.PROPOSALS: ProposalQuery(), Verb.CHANGES: GetChanges(), Verb.RESTORE: Restore("d-1"), Verb.LAUNCH: launch_request(),
        Verb.STOP: Stop(workspace_id), Verb.RELEASE: Release(), Verb.UNLINK: Unlink(),
    }  # fmt: skip


async def test_each_command_of_a_curious_centre_is_held_to_the_list_and_recorded(site: Site) -> None:
    facility = site.facility
    held, workspace = await facility.ada(), str(uuid.uuid4())
    second = await facility.held(sid="sid-2")
    redeem, _ = await facility.code()
    asked: list[tuple[Verb, bytes, str, bytes]] = []
    for verb, parameters in commands(facility, workspace).items():
        grant = second if verb is Verb.RELEASE else held
        for grant_id, secret in (
            (grant.grant_id, grant.secret),
            ("", b""),
            (grant.grant_id, b"x" * 32),
            ("no", b"x"),
        ):
            body = facility.body(
                verb, parameters, command_id=workspace if (verb, secret) == (Verb.LAUNCH, grant.secret) else ""
            )
            asked.append((verb, body, grant_id, proof.mac(secret, body) if secret else b""))
    asked.append((Verb.REDEEM, facility.body(Verb.REDEEM, redeem), "", b""))
    asked.insert(0, (Verb.REDEEM, facility.body(Verb.REDEEM, redeem), "", b""))
    outcomes: dict[Verb, set[str]] = {}
    for verb, body, grant_id, mac in asked:
        before = len(site.told())
        result = await site.send(body, grant_id, mac)
        assert result is not None, verb
        data = site.left[-1]
        new = site.told()[before:]
        digests = [record["digest"] for record in new]
        assert hashlib.sha256(data).hexdigest() in digests, f"{verb}: not recorded when it left"
        record = next(each for each in new if each["digest"] == hashlib.sha256(data).hexdigest())
        message = _MESSAGES[verb.value].FromString(result.payload) if result.payload else None
        left = set(paths(message)) if message is not None else set()
        said = set(paths(result.problem, "problem.")) if result.HasField("problem") else set()
        assert left <= allowed()[verb.value]
        assert {path.removeprefix("problem.") for path in said} <= allowed()[PROBLEM]
        assert set(record.get("fields", {})) == left | said
        assert (record["kind"], record["verb"], record["bytes"]) == ("sent", verb.value, len(data))
        outcomes.setdefault(verb, set()).add(result.outcome)
    assert all("OK" in outcomes[verb] for verb in outcomes if verb is not Verb.STOP), outcomes
    assert set(outcomes) == set(Verb)
    text = b"".join(path.read_bytes() for path in log_files(site.folder))
    for private in (ADA.sub, ADA.issuer, "/home", "Title d-1", held.grant_id, str(facility.folder)):
        assert private.encode() not in text
    for data in site.left:
        for private in (b"/home", str(facility.folder).encode(), b"4001", ADA.sub.encode()):
            assert private not in data
    assert site.verdict(site.log.head) == ""


async def test_without_a_log_nothing_leaves_and_no_order_begins(site: Site) -> None:
    facility = site.facility
    held = await facility.ada()
    assert (await site.send(*signed(facility, held, Verb.SEARCH, SearchQuery()))).outcome == "OK"
    site.disk.full, head = True, site.log.head
    for verb in (Verb.SEARCH, Verb.LAUNCH):
        result = await site.send(*signed(facility, held, verb, commands(facility, "")[verb]))
        assert result.payload == b""
        assert "cannot record" in result.problem.message
    assert facility.workspaces.inventory().reports == ()
    assert site.log.head == head
    site.disk.full = False
    assert (await site.send(*signed(facility, held, Verb.SEARCH, SearchQuery()))).outcome == "OK"
    assert site.verdict(site.log.head) == ""


def signed(facility: FacilityScene, held: Any, verb: Verb, parameters: Any) -> tuple[bytes, str, bytes]:
    body = facility.body(verb, parameters)
    return body, held.grant_id, proof.mac(held.secret, body)


async def test_a_policy_keeps_samples_under_embargo(at: FacilityScene) -> None:
    """Ada's d-1 and d-2 are under embargo, d-o is open."""
    at.shelf.put([replace(dataset("d-o", "P-open"), is_open=True)])
    await at.narrow({"dataset": {"sample": "open", "title": "never"}})
    site = Site(at)
    held = await at.ada()
    result = await site.send(*signed(at, held, Verb.SEARCH, SearchQuery()))
    page: Any = _MESSAGES["catalogue.search"].FromString(result.payload)
    seen = {each.pid: (each.is_open, each.sample, each.title) for each in page.datasets}
    assert seen == {"d-1": (False, "", ""), "d-2": (False, "", ""), "d-o": (True, "S", "")}
    fields = site.told()[-1]["fields"]
    assert "datasets.title" not in fields
    assert fields["datasets.sample"] == 1
    await site.running.stop()
    site.log.close()


@pytest.mark.parametrize(
    "tables",
    [
        {"dataset": {"smaple": "never"}}, {"sample": "never"}, {"dataset": {"sample": "sometimes"}},
        {"file": {"path": "open"}}, {"nothing": {"sample": "never"}}, {"dataset": {"sample": 1}},
        {"dataset": {"started": "never"}}, {"dataset": {"pid": "never"}}, {"proposal": {"pid": "never"}},
    ],
)  # fmt: skip
def test_a_policy_that_is_not_understood_is_refused(tables: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|no such|does not say|cannot stay"):
        narrowed(tables)


async def test_a_person_is_erased_and_the_chain_still_verifies(site: Site) -> None:
    facility = site.facility
    held = await facility.ada()
    for _ in range(2):
        await site.send(*signed(facility, held, Verb.SEARCH, SearchQuery()))
    names = [record["person"] for record in site.told() if "person" in record]
    assert len(names) == 2
    assert len(set(names)) == 1, "one person, one name"
    sealed = await facility.store.transact(lambda tx: tx.egress_key(ADA))
    assert sealed is not None
    assert await site.people.erase(ADA)
    assert not await site.people.erase(ADA)
    assert await facility.store.transact(lambda tx: tx.egress_key(ADA)) is None
    await site.send(*signed(facility, held, Verb.SEARCH, SearchQuery()))
    assert site.told()[-1]["person"] not in names
    assert site.verdict(site.log.head) == ""


async def test_account_links_codes_and_openings_are_recorded_first(site: Site) -> None:
    facility = site.facility
    door = CoreDoorkeeper(
        facility.store, facility.accounts, facility.grants, facility.workspaces, facility.revoked, facility.clock,
        site.recorder,
    )  # fmt: skip
    identity = await facility.accounts.identity("ada")
    assert isinstance(identity, LocalIdentity)
    await site.recorder.record()
    site.disk.full = True
    with pytest.raises(BackendUnavailable):
        await door.link(ADA, identity)
    assert await door.link_of(ADA) is None, "what cannot be recorded does not happen"
    site.disk.full = False
    await door.link(ADA, identity)
    held = await facility.held()
    workspace = await facility.running(held)
    await door.invite(workspace, ADA, "sid-1", "state", "code")
    await door.admit(workspace, "code", "state", "cookie")
    said = [(record["kind"], record["verb"], record.get("about", "")) for record in site.told()]
    assert said[1:] == [("done", "accounts.link", ""), ("done", "workspaces.open", workspace)]
    traffic = Traffic(door)
    traffic.sent(workspace, 10)
    traffic.received(workspace, 500)
    traffic.received(str(uuid.uuid4()), 7)  # nobody's: it is dropped, the other is not
    site.disk.full = True
    await traffic.tell()
    assert len(site.told()) == 3, "what could not be recorded waits"
    site.disk.full = False
    traffic.received(workspace, 1)
    await traffic.tell()
    await traffic.tell()
    last = site.told()[-1]
    assert (last["verb"], last["about"], last["fields"]) == (
        "gateway.bytes",
        workspace,
        {"sent": 10, "received": 501},
    )
    assert len(site.told()) == 4
    assert len({record["person"] for record in site.told()[1:]}) == 1
    assert not re.search(r"\bada\b", json.dumps(site.told())), "as a word: hexadecimal digits may spell it"


def test_the_operator_reads_lines(tmp_path: Path) -> None:
    from facility_agent.egress import shown

    now = 1_800_000_000.0
    assert shown.since("2h", now) < shown.since("30min", now) < shown.since("2027-01-16", now)
    for bad in ("yesterday", "2x", "-1h", ""):
        with pytest.raises(ValueError, match="--since"):
            shown.since(bad, now)
    line = shown.in_words({"sequence": 3, "at": "a", "verb": "v\x1b[31m\n", "fields": {"pid": 2}})
    assert "\x1b" not in line
    assert "\n" not in line
    assert "pid 2" in line
