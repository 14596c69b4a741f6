"""`check --probe`: systems that are well, systems that are not, and that nothing is changed by asking."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from facility_agent.config import Located
from facility_agent.egress.files import LogFiles
from facility_agent.egress.log import EgressLog
from facility_agent.probing.results import FAULT, STRANGE, State
from facility_agent.recording import places
from facility_agent.testing.catalogue_world import Known
from tests import probing_scene as scene
from tests.contracts import catalogue_worlds, icat_worlds, panosc_worlds, scicat_worlds
from tests.probing_scene import Front, configured, of, probed
from tests.standins.icat import Ids
from tests.standins.icat import build as icat_app
from tests.standins.panosc.api import PanoscApi
from tests.standins.scicat import SciCat
from tests.standins.scicat import build as scicat_app
from tests.standins.serving import serving
from tests.unit.test_facility_config import BIN, change, folder  # noqa: F401 (a fixture)

PUBLIC = ("search", "text", "paging", "dataset", "files", "folders", "proposals", "unknown names")
KNOWN = [
    *(Known(f"open {n}", "P-open", "I22", "silver behenate", "NXsas", started=1000.0 * n) for n in range(20)),
    *(Known(f"mine {n}", "P-mine", "ID11", "ceria", "NXxas", started=1000.0 * n + 1) for n in range(5)),
    Known("theirs", "P-theirs", "I99", "unobtainium", started=5.0),
]


def folders_of(folder: Path) -> None:  # noqa: F811
    for proposal in ("P-open", "P-mine", "P-theirs"):
        (folder / "data" / proposal).mkdir(exist_ok=True)


@asynccontextmanager
async def scicat(folder: Path) -> AsyncIterator[tuple[Front, Located, Callable[[], Any]]]:  # noqa: F811
    world = SciCat()
    world.add_user(scicat_worlds.KEEPER, "admin", strategy="local", password=scicat_worlds.PASSWORD)
    for known in KNOWN:
        scicat_worlds.record(world, known)
    front = Front(scicat_app(world))
    async with serving(front) as base:
        located = configured(folder, scene.scicat(base, folder, 'retrieve_job = "retrieve"'))
        yield front, located, lambda: (world.datasets, world.jobs)


@asynccontextmanager
async def icat(folder: Path) -> AsyncIterator[tuple[Front, Located, Callable[[], Any]]]:  # noqa: F811
    world = icat_worlds.empty()
    for known in KNOWN:
        icat_worlds.record(world, known)
    user = world.add("User", name="db/asmith")
    world.add("UserGroup", user=user, grouping=icat_worlds.one(world, "Grouping", name="P-mine"))
    front = Front(icat_app(world, Ids(world)))
    async with serving(front) as base:
        yield front, configured(folder, scene.icat(base, folder)), lambda: world.rows


@asynccontextmanager
async def panosc(folder: Path) -> AsyncIterator[tuple[Front, Located, Callable[[], Any]]]:  # noqa: F811
    api = PanoscApi()
    for known in KNOWN:
        panosc_worlds.record(api, known)
    front = Front(api)
    async with serving(front) as base:
        yield front, configured(folder, scene.panosc(base, folder)), lambda: api.objects


@asynccontextmanager
async def nexus(folder: Path) -> AsyncIterator[tuple[Front, Located, Callable[[], Any]]]:  # noqa: F811
    for known in KNOWN:
        catalogue_worlds.write(folder / "data" / known.proposal / f"{known.title}.nxs", known)
    front = Front(JSONResponse({}))
    located = configured(folder, scene.nexus(folder))
    yield front, located, lambda: sorted((str(p), p.lstat().st_mtime_ns) for p in (folder / "data").rglob("*"))


SYSTEMS = {"scicat": scicat, "icat": icat, "panosc": panosc, "nexus_folder": nexus}


@pytest.mark.parametrize("name", SYSTEMS)
async def test_a_system_that_is_well_is_found_well_and_left_as_it_was(folder: Path, name: str) -> None:  # noqa: F811
    folders_of(folder)
    async with SYSTEMS[name](folder) as (front, located, content):
        before, state = copy.deepcopy(content()), sorted(folder.rglob("*"))
        found = await probed(located, "asmith")
        assert content() == before
        assert sorted(folder.rglob("*")) == state, "what was needed meanwhile is taken away"
        writing = {path for method, path in front.methods if method not in ("GET", "HEAD")}
        writing = {"/icat/session" if path.startswith("/icat/session/") else path for path in writing}
        assert writing <= {"/icat/session", "/api/v3/auth/login", "/api/v4/auth/login"}, (
            "signing in, and nothing else"
        )
    well, bad = of(found, State.OK), of(found, State.FAILED)
    assert not bad
    assert {f"catalogue.{name} {probe}" for probe in (*PUBLIC, "open data", "hostile text")} <= well.keys()
    assert {f"catalogue.{name} as asmith {probe}" for probe in PUBLIC} <= well.keys()
    assert well["accounts.file asmith"].startswith("uid 20001, gid 20001, groups 30001")
    assert well["access.accounts asmith"] == "May come in, with P-mine."
    assert "CPUs" in well["compute.process itself"]
    assert "egress writing" in well
    shown = 25 if name == "panosc" else 20
    assert well[f"catalogue.{name} search"].startswith(f"{shown} open datasets on the first page, in ")
    assert well[f"catalogue.{name} hostile text"].startswith("66 questions")
    closed = 0 if name == "panosc" else 5
    said = well[f"catalogue.{name} as asmith own data"]
    assert said == f"5 datasets are the person's; {closed} of them are no stranger's."
    assert not of(found, State.UNTRIED)


async def test_without_a_name_nobody_but_a_stranger_reads(folder: Path) -> None:  # noqa: F811
    async with nexus(folder) as (_, located, _content):
        found = await probed(located)
    assert not of(found, State.FAILED)
    assert not [result for result in found if " as " in result.where]
    assert {"accounts.file nobody", "access.accounts nobody"} <= of(found, State.OK).keys()


async def test_an_account_that_is_not_there_or_unusable_is_said(folder: Path) -> None:  # noqa: F811
    async with nexus(folder) as (_, located, _content):
        bad = of(await probed(located, "nobody-here"), State.FAILED)
        assert bad == {"accounts.file nobody-here": "There is no such account."}
        accounts = folder / "accounts.toml"
        accounts.write_text(accounts.read_text().replace("uid = 20001", "uid = 0"))
        found = await probed(located, "asmith")
    assert of(found, State.FAILED).keys() == {"accounts.file asmith"}
    assert "catalogue.nexus_folder as asmith" in of(found, State.UNTRIED)


HTML = Response("<html>Welcome</html>", media_type="text/html")


@pytest.mark.parametrize("name", ["scicat", "icat"])
async def test_a_web_page_is_told_from_an_interface(folder: Path, name: str) -> None:  # noqa: F811
    async with SYSTEMS[name](folder) as (front, located, _):
        front.instead = lambda scope: HTML
        found = await probed(located)
    bad = [result for result in found if result.state is State.FAILED]
    assert [result.where for result in bad] == [f"catalogue.{name} search"]
    assert "is not the JSON that was asked for, or nested too deep (status 200)" in bad[0].said
    assert bad[0].mend == STRANGE
    assert of(found, State.UNTRIED)[f"catalogue.{name} everything else"] == "the first page could not be read."
    assert {"accounts.file nobody", "compute.process itself", "egress writing"} <= of(found, State.OK).keys()


async def test_a_panosc_interface_that_is_a_web_page_is_never_read(folder: Path) -> None:  # noqa: F811
    async with panosc(folder) as (front, located, _):
        front.instead = lambda scope: HTML
        bad = of(await probed(located, seconds=2), State.FAILED)
    assert bad["catalogue.panosc search"] == "The facility's catalogue cannot be read at the moment."


async def never(scope: Scope, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("name", ["scicat", "icat", "panosc"])
async def test_a_server_that_hangs_costs_no_more_than_its_time(folder: Path, name: str) -> None:  # noqa: F811
    async with SYSTEMS[name](folder) as (front, located, _):
        front.instead = lambda scope: never  # type: ignore[assignment,return-value]
        began = time.monotonic()
        found = await probed(located, "asmith", seconds=1)
        assert time.monotonic() - began < 12
    assert f"catalogue.{name} search" in of(found, State.FAILED)
    assert "accounts.file asmith" in of(found, State.OK)
    assert f"catalogue.{name} as asmith search" in of(found, State.FAILED)


@pytest.mark.parametrize("name", ["scicat", "icat"])
async def test_a_server_that_is_down_is_said_with_the_cause(folder: Path, name: str) -> None:  # noqa: F811
    async with SYSTEMS[name](folder) as (_, located, _content):
        pass
    bad = of(await probed(located), State.FAILED)
    assert bad[f"catalogue.{name} search"].startswith("The facility's catalogue does not answer at the moment. (")
    assert "Connect call failed" in bad[f"catalogue.{name} search"]


async def test_a_folder_that_is_gone_is_said(folder: Path) -> None:  # noqa: F811
    async with nexus(folder) as (_, located, _content):
        (folder / "data").rename(folder / "elsewhere")
        bad = of(await probed(located, seconds=2), State.FAILED)
    assert bad == {"catalogue.nexus_folder search": "The facility cannot read its folder of files at the moment."}


async def test_a_wrong_password_is_said_where_people_would_meet_it(folder: Path) -> None:  # noqa: F811
    async with scicat(folder) as (_, located, _content):
        (folder / "catalogue.password").write_text("wrong")
        found = await probed(located, "asmith")
    bad = of(found, State.FAILED)
    assert "catalogue.scicat as asmith search" in bad
    assert "wrong" not in "".join(bad.values())


async def test_what_cannot_be_mounted_is_a_warning(folder: Path) -> None:  # noqa: F811
    async with scicat(folder) as (_, located, _content):
        found = await probed(located)
    assert not of(found, State.FAILED)
    said = of(found, State.WARNING)["catalogue.scicat folders"]
    assert said == "The data of 'P-open' are not found on this machine."


async def test_addresses_in_text_are_a_warning(folder: Path) -> None:  # noqa: F811
    folders_of(folder)
    async with scicat(folder) as (_, located, content):
        content()[0][0]["datasetName"] = "Measured by ada@example.org"
        warned = of(await probed(located), State.WARNING)
    assert warned == {"catalogue.scicat text": "1 of 20 datasets have e-mail addresses in their text."}


async def test_a_catalogue_without_open_data_is_no_failure(folder: Path) -> None:  # noqa: F811
    located = configured(folder, scene.nexus(folder))
    found = await probed(located)
    assert not of(found, State.FAILED)
    assert of(found, State.WARNING)["catalogue.nexus_folder search"] == "There are no open datasets."
    assert "catalogue.nexus_folder dataset, files, archive and folders" in of(found, State.UNTRIED)


async def test_a_flavour_that_no_machine_has_is_a_warning(folder: Path) -> None:  # noqa: F811
    async with nexus(folder) as (_, _located, _content):
        change(folder, ("cpus = 1\n", "cpus = 100000\n"))
        located = scene.load(folder / "agent.toml")
        warned = of(await probed(located), State.WARNING)
    assert warned["compute.process flavours"].startswith("small (100000 CPUs, 2.0 GiB) is more than there is")


# --- the egress log


async def test_a_log_in_use_is_left_alone_and_damage_is_said(folder: Path) -> None:  # noqa: F811
    located = configured(folder, scene.nexus(folder))
    where, head = places(located)
    log = EgressLog(LogFiles(where, head, 2**20), time.time)
    try:
        await log.append([{"at": "now", "kind": "done", "verb": "x"}])
        before = {path.name: path.read_bytes() for path in where.iterdir()}
        found = await probed(located)
        assert "egress writing" in of(found, State.OK)
        assert {path.name: path.read_bytes() for path in where.iterdir()} == before
        await log.append([{"at": "now", "kind": "done", "verb": "y"}])
    finally:
        log.close()
    kept = head.read_bytes()
    head.write_text("0")
    assert of(await probed(located), State.FAILED) == {"egress writing": "egress.head is damaged."}
    head.unlink()
    assert of(await probed(located), State.FAILED) == {"egress writing": "egress.head is gone."}
    head.write_bytes(kept)
    assert not of(await probed(located), State.FAILED)


# --- as a command


async def command(folder: Path, *words: str) -> tuple[int, str]:  # noqa: F811
    made = await asyncio.create_subprocess_exec(
        BIN / "facility-agent", "check", "-c", folder / "agent.toml", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(made.communicate(), 60)
    assert made.returncode is not None
    return made.returncode, out.decode()


@pytest.mark.needs("ordinary-user")
async def test_the_command_says_it_and_its_status_is_what_was_found(folder: Path) -> None:  # noqa: F811
    folders_of(folder)
    async with scicat(folder) as (front, _, _content):
        status, said = await command(folder, "--probe", "--as", "asmith")
        assert status == 0, said
        assert "\nok catalogue.scicat hostile text: " in said
        assert "\nok catalogue.scicat as asmith own data: " in said
        assert said.splitlines()[-1].startswith("probed: ")
        front.instead = lambda scope: HTML
        status, said = await command(folder, "--probe")
        assert status == 1
        assert (
            "\nfailed catalogue.scicat search: The facility's catalogue gave an answer that cannot be used."
            in said
        )
        front.instead = lambda scope: never  # type: ignore[assignment,return-value]
        began = time.monotonic()
        status, said = await command(folder, "--probe", "--within", "1")
        assert (status, time.monotonic() - began < 30) == (1, True)
        assert "failed catalogue.scicat search: No answer within 1 s." in said
        assert FAULT not in said
    status, said = await command(folder)
    assert (status, "catalogue.scicat" in said) == (0, False), "nothing is asked without --probe"


@pytest.mark.needs("ordinary-user")
async def test_what_cannot_be_built_is_not_probed(folder: Path) -> None:  # noqa: F811
    change(folder, ('adapter = "nexus_folder"', 'adapter = "nothing"'))
    status, said = await command(folder, "--probe")
    assert status == 1
    assert said.splitlines()[-1] == "not tried everything: mend what stands above first"
