"""A facility's configuration over a stand-in, and what probing it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from facility_agent.config import Located, load
from facility_agent.probing.results import Result, State
from facility_agent.probing.run import Wish, probe
from tests.contracts.scicat_worlds import PASSWORD

_SECTION = re.compile(r"^\[catalogue\]\n.*?^(?=\[compute\])", re.M | re.S)


class Front:
    """What stands before a server; `instead` answers in its place where it says something."""

    def __init__(self, app: Callable[..., object]) -> None:
        self.instead: Callable[[Scope], Response | None] = lambda scope: None
        self.methods: set[tuple[str, str]] = set()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.methods.add((scope["method"], scope["path"]))
        answer = self.instead(scope)
        await (answer or self._app)(scope, receive, send)  # type: ignore[operator]


def configured(folder: Path, catalogue: str) -> Located:
    """The example configuration with this catalogue, and an account that has the proposal P-mine."""
    path = folder / "agent.toml"
    path.write_text(_SECTION.sub(lambda _: catalogue + "\n", path.read_text()))
    accounts = folder / "accounts.toml"
    accounts.write_text(accounts.read_text().replace('"2026-001"', '"P-mine"'))
    (folder / "catalogue.password").write_text(PASSWORD)
    (folder / "catalogue.password").chmod(0o600)
    return load(path)


def scicat(base: str, folder: Path, more: str = "") -> str:
    return f"""[catalogue]
adapter = "scicat"
[catalogue.scicat]
url = "{base}"
username = "parasol"
password_file = "catalogue.password"
root = "{folder / "data"}"
sample = "sample_name"
{more}"""


def icat(base: str, folder: Path) -> str:
    return f"""[catalogue]
adapter = "icat"
[catalogue.icat]
url = "{base}/icat"
authenticator = "simple"
username = "parasol"
password_file = "catalogue.password"
people = "db"
zone = "UTC"
root = "{folder / "data"}"
"""


def panosc(base: str, folder: Path) -> str:
    return f"""[catalogue]
adapter = "panosc"
[catalogue.panosc]
url = "{base}/api"
root = "{folder / "data"}"
proposal_prefix = "10.5072/"
all_open = true
"""


def nexus(folder: Path) -> str:
    return f"""[catalogue]
adapter = "nexus_folder"
[catalogue.nexus_folder]
folder = "{folder / "data"}"
open_proposals = ["P-open"]
"""


async def probed(located: Located, username: str = "", seconds: float = 20.0) -> list[Result]:
    """Every result, in order."""
    found: list[Result] = []
    await probe(located, found.append, Wish(username, seconds))
    return found


def of(found: list[Result], state: State) -> dict[str, str]:
    """What was said of each place that ended so."""
    return {result.where: result.said for result in found if result.state is state}
