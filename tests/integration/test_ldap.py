"""The adapter `ldap` beyond its contracts: against a real directory, and against what is none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from facility_agent.adapters.accounts.ldap import LdapPlugin, LdapSettings
from facility_agent.plugins import Site
from facility_agent.testing.accounts_world import Person
from shared.errors import AccessDenied, BackendUnavailable, IdentityRefused, NotFound
from tests.certificates import self_signed
from tests.contracts.posix_worlds import LdapWorld
from tests.slapd import AGENT, PASSWORD, SUFFIX, Slapd

real = pytest.mark.needs("slapd")
Said = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@real
@pytest.mark.parametrize("member", ["member", "uniqueMember"])
async def test_groups_may_name_their_members_by_dn(tmp_path: Path, member: str) -> None:
    world = LdapWorld(tmp_path, member)
    world.put(Person("ada.b-c_d"))
    account = await world.directory.account("ada.b-c_d")
    assert account == world.expected(Person("ada.b-c_d"))
    assert set(await world.rules.proposals(account)) == {"P-1", "P-2"}


@real
async def test_the_directorys_own_identifier_tells_an_entry_from_its_successor(tmp_path: Path) -> None:
    world = LdapWorld(tmp_path, immutable_id="entryUUID")
    world.put(Person())
    before = await world.directory.account("ada")
    assert len(before.immutable_id) == 36
    assert (await world.directory.account("ada")).immutable_id == before.immutable_id
    world.put(Person())  # deleted and made anew, with the same name and uid
    after = await world.directory.account("ada")
    assert after.uid == before.uid
    assert after.immutable_id != before.immutable_id
    assert not await world.rules.may_use(before)


@real
async def test_a_name_that_two_entries_have_is_nobodys(tmp_path: Path) -> None:
    world = LdapWorld(tmp_path)
    world.put(Person())
    second = {"sn": "x", "cn": "x", "uid": "ada", "uidNumber": 4044, "gidNumber": 4044, "homeDirectory": "/home/x"}
    world.server.add(f"cn=x,ou=people,{world.base}", ["inetOrgPerson", "extensibleObject"], **second)
    with pytest.raises(IdentityRefused):
        await world.directory.account("ada")
    with pytest.raises(IdentityRefused):
        await world.sign_on.check("ada", Person().password)


@real
@pytest.mark.parametrize("values", [{}, {"gidNumber": [5001, 5002]}], ids=["none", "two"])
async def test_a_group_without_exactly_one_gid_is_not_left_out(tmp_path: Path, values: dict[str, object]) -> None:
    world = LdapWorld(tmp_path)
    world.put(Person())
    attributes = {"cn": "odd", "memberUid": "ada", **values}
    if values:  # gidNumber has one value by its schema, so a second one comes as another name
        attributes = {"cn": ["odd", "odder"], "memberUid": "ada", "gidNumber": 5001}
    world.server.add(f"cn=odd,ou=groups,{world.base}", ["device", "extensibleObject"], **attributes)
    with pytest.raises(IdentityRefused):
        await world.directory.account("ada")


@real
async def test_an_entry_without_its_immutable_id_is_refused(tmp_path: Path) -> None:
    world = LdapWorld(tmp_path, immutable_id="departmentNumber")
    world.put(Person())
    with pytest.raises(IdentityRefused):
        await world.directory.account("ada")


@real
async def test_too_many_groups_for_the_servers_limit_are_no_answer(tmp_path: Path) -> None:
    world = LdapWorld(tmp_path)
    world.put(Person(groups=tuple(range(5000, 5020))))
    client = world.accounts._client
    with pytest.raises(BackendUnavailable):
        await client.search(world.settings.groups, "(memberUid=ada)", ("cn",), most=10)
    assert len(await client.search(world.settings.groups, "(memberUid=ada)", ("cn",), most=50)) == 22


@real
async def test_an_answer_that_is_elsewhere_in_part_is_none(tmp_path: Path) -> None:
    world = LdapWorld(tmp_path)
    world.put(Person())
    elsewhere = f"ou=more,ou=groups,{world.base}"
    world.server.add(elsewhere, ["referral", "extensibleObject"], ou="more", ref="ldap://other.example/dc=x")
    with pytest.raises(BackendUnavailable):
        await world.directory.account("ada")
    world.server.admin().delete(elsewhere, controls=[("2.16.840.1.113730.3.4.2", True, None)])  # manage it itself
    assert (await world.directory.account("ada")).uid == 4001


@real
async def test_only_members_of_a_group_may_use_it(tmp_path: Path) -> None:
    world = LdapWorld(tmp_path, members_of="g4002")
    world.put(Person())
    account = await world.directory.account("ada")
    assert await world.rules.may_use(account)
    world.put(Person(groups=(4003,)))
    assert not await world.rules.may_use(await world.directory.account("ada"))


@real
async def test_an_agent_with_a_wrong_password_of_its_own_has_no_answer(tmp_path: Path) -> None:
    world = LdapWorld(tmp_path)
    world.put(Person())
    (tmp_path / "ldap.password").write_text("not it")
    wrong = LdapPlugin.build(world.settings, Site("example", tmp_path, tmp_path))
    for ask in (wrong.account("ada"), wrong.check("ada", Person().password)):
        with pytest.raises(BackendUnavailable) as outage:
            await ask
        assert PASSWORD not in f"{outage.value} {outage.value.__cause__}"
    assert (await world.directory.account("ada")).uid == 4001


@real
async def test_a_password_is_never_sent_empty(tmp_path: Path) -> None:
    """The server would say yes to a bind with a name and no password (RFC 4513 §5.1.2)."""
    world = LdapWorld(tmp_path)
    world.put(Person(password=""))
    for password in ("", "\0", "x" * 5000):
        with pytest.raises(AccessDenied):
            await world.sign_on.check("ada", password)


@real
async def test_a_directory_without_tls_is_told_no_password(tmp_path: Path) -> None:
    world = LdapWorld(tmp_path)
    world.put(Person())
    private = world.settings.model_copy(update={"plaintext": False})
    accounts = LdapPlugin.build(private, Site("example", tmp_path, tmp_path))
    with pytest.raises(BackendUnavailable, match="cannot be read"):
        await accounts.check("ada", Person().password)


@real
async def test_a_password_goes_only_to_who_has_the_certificate(tmp_path: Path) -> None:
    self_signed(tmp_path / "others")
    server = Slapd(self_signed(tmp_path / "mine"), "ldap://0.0.0.0")
    try:
        values = {
            "people": SUFFIX, "groups": SUFFIX, "people_filter": "(cn=*)", "username": "cn", "bind_dn": AGENT,
            "password_file": "secret",
        }  # fmt: skip
        (tmp_path / "secret").write_text(PASSWORD)
        (tmp_path / "secret").chmod(0o600)
        good = LdapSettings.model_validate(
            {**values, "url": f"ldap://localhost:{server.port}", "ca_file": "mine.pem"}
        )
        site = Site("example", tmp_path, tmp_path)
        assert await LdapPlugin.build(good, site).check("agent", PASSWORD) == "agent"
        with pytest.raises(AccessDenied):
            await LdapPlugin.build(good, site).check("agent", "wrong")
        for change in ({"ca_file": Path("others.pem")}, {"ca_file": None}):
            accounts = LdapPlugin.build(good.model_copy(update=change), site)
            with pytest.raises(BackendUnavailable) as refused:
                await accounts.check("agent", PASSWORD)
            assert "certificate verify failed" in str(refused.value.__cause__)
        by_number = {"url": f"ldap://127.0.0.1:{server.port}"}  # in the certificate too
        assert await LdapPlugin.build(good.model_copy(update=by_number), site).check("agent", PASSWORD) == "agent"
        by_another = {"url": f"ldap://127.0.0.2:{server.port}"}
        with pytest.raises(BackendUnavailable) as refused:
            await LdapPlugin.build(good.model_copy(update=by_another), site).check("agent", PASSWORD)
        assert "not valid for '127.0.0.2'" in str(refused.value.__cause__)
    finally:
        server.close()


# --- what is no directory


@asynccontextmanager
async def server(say: Said, folder: Path) -> AsyncIterator[LdapSettings]:
    """Something that listens, and how to ask it."""
    busy: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        busy.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await say(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield LdapSettings(
            url=f"ldap://127.0.0.1:{port}", plaintext=True, people="dc=x", groups="dc=x", within_s=1
        )
    finally:
        listening.close()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>" + b"x" * 10_000)
    await writer.drain()
    await reader.read(1)


async def closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"\x30\x0c\x02\x01\x01\x61")
    await writer.drain()


async def drops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A message of 2 GB, a byte at a time: no single wait is long."""
    writer.write(b"\x30\x84\x7f\xff\xff\xff")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("say", [silence, page, closed, half, drops], ids=lambda say: say.__name__)
async def test_what_is_no_directory_is_no_answer_in_time(tmp_path: Path, say: Said) -> None:
    async with server(say, tmp_path) as settings:
        accounts = LdapPlugin.build(settings, Site("example", tmp_path, tmp_path))
        begun = time.monotonic()
        with pytest.raises(BackendUnavailable) as outage:
            await accounts.account("ada")
        assert time.monotonic() - begun < 10
        assert "127.0.0.1" not in outage.value.message


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://x"}, {"url": "ldap://x/dc=x"}, {"url": "ldap://user@x"}, {"plaintext": True}, {"bind_dn": "cn=x"},
        {"password_file": "x"}, {"member": "owner"}, {"proposal_group": "p"}, {"within_s": 0}, {"unknown": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_mistake_in_the_settings_is_refused(change: dict[str, object]) -> None:
    good = {"url": "ldaps://ldap.example", "people": "ou=p", "groups": "ou=g"}
    LdapSettings.model_validate(good)
    with pytest.raises(ValueError, match=r"\S"):
        LdapSettings.model_validate({**good, **change})


def test_a_password_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    settings = LdapSettings(url="ldaps://x", people="a", groups="b", bind_dn="cn=x", password_file=Path("secret"))
    for mode, said in ((0o644, "0600"), (0o600, "")):
        (tmp_path / "secret").chmod(mode)
        if said:
            with pytest.raises(ValueError, match=said):
                LdapPlugin.build(settings, Site("example", tmp_path, tmp_path))
        else:
            LdapPlugin.build(settings, Site("example", tmp_path, tmp_path))


@real
async def test_the_check_says_why_it_cannot_be_asked(tmp_path: Path) -> None:
    world = LdapWorld(tmp_path)
    assert await asyncio.to_thread(lambda: list(world.accounts.faults())) == []
    away = replace_url(world.settings, "ldap://127.0.0.1:1")
    found = await asyncio.to_thread(lambda: list(LdapPlugin.build(away, Site("x", tmp_path, tmp_path)).faults()))
    assert [fault.setting for fault in found] == ["url"]
    assert "cannot be read" in found[0].what


def replace_url(settings: LdapSettings, url: str) -> LdapSettings:
    return settings.model_copy(update={"url": url})


@real
async def test_an_unknown_account_stays_unknown(tmp_path: Path) -> None:
    world = LdapWorld(tmp_path)
    world.put(replace(Person(), username="ben"))
    with pytest.raises(NotFound):
        await world.directory.account("ada")
