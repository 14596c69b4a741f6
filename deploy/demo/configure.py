"""The configuration files of the demo's seven processes, as an operator would write them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from deploy.demo import data, prepare
from deploy.demo.ground import SHARED, Ground
from deploy.demo.people import PEOPLE

Commands = dict[str, tuple[list[str], dict[str, str]]]
NAMES = {"alpha": ("Alpha Light Source", "Alphaville", "FR"), "beta": ("Beta Neutron Source", "Betaburg", "DE")}
ABOUT = {
    "alpha": "A synchrotron with a powder diffraction beamline. Its accounts sign in with the facility's own sign-on.",
    "beta": "A neutron source with a wide-angle instrument. Its accounts sign in with username and password.",
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Every origin of the demo; ports follow the first one."""

    base: int

    @property
    def portal(self) -> str:
        """The portal."""
        return f"http://portal.localhost:{self.base}"

    @property
    def umbrella(self) -> str:
        """The provider that stands in for UmbrellaID."""
        return f"http://login.localhost:{self.base + 1}"

    @property
    def sign_on(self) -> str:
        """The provider that stands in for Alpha's own sign-on."""
        return f"http://login.localhost:{self.base + 2}"

    @property
    def hub(self) -> str:
        """The hub's address."""
        return f"127.0.0.1:{self.base + 5}"

    def gateway_port(self, facility: str) -> int:
        """The port of a facility's gateway."""
        return self.base + {"alpha": 3, "beta": 4}[facility]

    def gateway(self, facility: str) -> str:
        """A facility's gateway."""
        return f"http://{facility}.localhost:{self.gateway_port(facility)}"

    def zone(self, facility: str) -> str:
        """A facility's workspace zone."""
        return f"{facility}-work.localhost:{self.gateway_port(facility)}"


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things are."""

    root: Path
    modules: Path
    environment: Path

    def site(self, facility: str) -> Path:
        """A facility's folder; short, since Unix sockets lie below it."""
        return self.root / facility[0]

    def processed(self, facility: str) -> Path:
        """What a facility's people make of its data."""
        return self.root / "processed" / facility

    def data(self, facility: str) -> Path:
        """A facility's data."""
        return self.root / "data" / facility


def write_configuration(
    folders: Folders,
    at: Addresses,
    data_folder: Path | None,
    query_deadline: float,
    bin_: Path,
    ground: Ground | None = None,
) -> Commands:
    """Write everything; returns name → (command, variables) of each process."""
    secrets = {name: _secret() for name in ("portal", "alpha", "beta", "sign-on")}
    commands: Commands = {}
    commands["umbrella"] = _provider(folders, at, "umbrella", _umbrella_clients(at, secrets))
    commands["sign-on"] = _provider(folders, at, "sign-on", _sign_on_clients(at, secrets))
    keys = {}
    for facility in ("alpha", "beta"):
        served = data_folder.resolve() if facility == "alpha" and data_folder else folders.data(facility)
        own_data, local = served == folders.data(facility), ground if facility == "alpha" else None
        config = _facility(folders, at, facility, served, secrets, own_data=own_data, ground=local)
        done = subprocess.run(
            [bin_ / "facility-agent", "key", "-c", config], check=True, capture_output=True, text=True
        )
        keys[facility] = done.stdout.strip()
        commands[f"{facility}-agent"] = ([str(bin_ / "facility-agent"), "agent", "-c", str(config)], {})
        commands[f"{facility}-gateway"] = ([str(bin_ / "facility-agent"), "gateway", "-c", str(config)], {})
    commands["centre"] = (
        [str(bin_ / "central-portal"), "serve"],
        _centre(folders, at, keys, secrets, query_deadline),
    )
    return commands


def _secret() -> str:
    import secrets

    return secrets.token_urlsafe(32)


def _private(path: Path, text: str) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def _umbrella_clients(at: Addresses, secrets: dict[str, str]) -> list[dict[str, Any]]:
    portal = {
        "id": "portal", "secret": secrets["portal"], "base": at.portal, "callback": "/signin/callback/umbrella",
        "backchannel": "/backchannel/umbrella", "after": "/signout/done",
    }  # fmt: skip
    gateways = [
        {
            "id": f"{f}-gateway", "secret": secrets[f], "base": at.gateway(f), "callback": "/umbrella/callback",
            "backchannel": "/umbrella/backchannel", "pairwise": True,
        }
        for f in ("alpha", "beta")
    ]  # fmt: skip
    return [portal, *gateways]


def _sign_on_clients(at: Addresses, secrets: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "id": "alpha-gateway",
            "secret": secrets["sign-on"],
            "base": at.gateway("alpha"),
            "callback": "/sign-on/callback",
        }
    ]


def _provider(
    folders: Folders, at: Addresses, name: str, clients: list[dict[str, Any]]
) -> tuple[list[str], dict[str, str]]:
    is_umbrella = name == "umbrella"
    users = [{"login": p.login if is_umbrella else p.accounts["alpha"][0], "name": p.name} for p in PEOPLE]
    config = {
        "modules": str(folders.modules), "issuer": at.umbrella if is_umbrella else at.sign_on,
        "port": at.base + (1 if is_umbrella else 2), "name": name.replace("-", "_"),
        "title": "UmbrellaID (demo)" if is_umbrella else "Alpha sign-on (demo)", "users": users, "clients": clients,
    }  # fmt: skip
    path = _private(folders.root / f"{name}.json", json.dumps(config))
    return [str(prepare.node()), str(prepare.HERE / "oidc" / "provider.mjs"), str(path)], {}


def _centre(
    folders: Folders, at: Addresses, keys: dict[str, str], secrets: dict[str, str], query_deadline: float
) -> dict[str, str]:
    folder = folders.root / "centre"
    _private(folder / "umbrella.secret", secrets["portal"])
    facilities = "\n".join(
        f'[[facilities]]\nid = "{f}"\nname = "{NAMES[f][0]}"\npublic_key = "{keys[f]}"\n'
        f'gateway = "{at.gateway(f)}"\nworkspace_zone = "{at.zone(f)}"\n'
        for f in ("alpha", "beta")
    )
    federation = _private(
        folder / "federation.toml",
        f'[[providers]]\nid = "umbrella"\ntitle = "UmbrellaID"\nissuer = "{at.umbrella}"\n'
        f'client_id = "portal"\nclient_secret_file = "umbrella.secret"\n\n{facilities}',
    )
    return {
        "PARASOL_ORIGIN": at.portal, "PARASOL_LISTEN": f"127.0.0.1:{at.base}", "PARASOL_DATA": str(folder / "data"),
        "PARASOL_FEDERATION": str(federation), "PARASOL_HUB_LISTEN": at.hub, "PARASOL_HUB_PLAINTEXT": "1",
        "PARASOL_QUERY_DEADLINE": str(query_deadline),
    }  # fmt: skip


def _facility(
    folders: Folders,
    at: Addresses,
    facility: str,
    served: Path,
    secrets: dict[str, str],
    *,
    own_data: bool,
    ground: Ground | None,
) -> Path:
    site = folders.site(facility)
    _private(site / "umbrella.secret", secrets[facility])
    _private(site / "sign-on.secret", secrets["sign-on"])
    extra = () if own_data else proposals_below(served)
    _private(site / "accounts.toml", _accounts(facility, extra, ground))
    for proposal in {*extra, *(each for person in PEOPLE for each in person.proposals[facility])}:
        (folders.processed(facility) / proposal).mkdir(parents=True, exist_ok=True)
    name, place, country = NAMES[facility]
    open_ = list(data.OPEN[facility]) if own_data else []
    sign_on = (
        f'[gateway.sign_on]\nissuer = "{at.sign_on}"\nclient_id = "alpha-gateway"\n'
        'client_secret_file = "sign-on.secret"\ntitle = "Alpha sign-on"\n'
        if facility == "alpha"
        else ""
    )
    in_pods = ground is not None and ground.in_pods
    listens = "{port}" if in_pods else "{socket}"
    token = 'JUPYTER_TOKEN_FILE = "{secret_file}"' if in_pods else 'JUPYTER_TOKEN = "{secret}"'
    carried_by = "container" if in_pods else "process"
    python = folders.environment / "bin" / "python"
    start = prepare.HERE / "environment" / "start.py"
    text = f"""
[facility]
id = "{facility}"
name = "{name}"
place = "{place}"
country = "{country}"
description = "{ABOUT[facility]}"
website = "https://www.{facility}.example/"
data_portal = "https://data.{facility}.example/"
contact = "https://www.{facility}.example/user-office"
[[facility.services]]
id = "user-office"
title = "User office"
description = "Proposals, visits and safety training."
url = "https://useroffice.{facility}.example/"
[[facility.services]]
id = "logbook"
title = "Electronic logbook"
description = "Notes and pictures of each visit."
url = "https://logbook.{facility}.example/"

[centre]
hub = "{at.hub}"
portal = "{at.portal}"
key_file = "agent.key"
plaintext = true

[agent]
state = "state"
socket = "run/s"

[gateway]
listen = "127.0.0.1:{at.gateway_port(facility)}"
url = "{at.gateway(facility)}"
workspace_zone = "{at.zone(facility)}"
[gateway.umbrella]
issuer = "{at.umbrella}"
client_id = "{facility}-gateway"
client_secret_file = "umbrella.secret"
{sign_on}
[accounts]
adapter = "file"
[accounts.file]
path = "accounts.toml"

[catalogue]
adapter = "nexus_folder"
[catalogue.nexus_folder]
folder = {json.dumps(str(served))}
open_proposals = {json.dumps(open_)}
rescan_s = 5

{ground.compute if ground else _own_user()}
[[mounts]]
name = "processed"
root = {json.dumps(str(folders.processed(facility)))}
path = "{{proposal}}"
writable = true

[[flavours]]
id = "small"
title = "Small"
cpus = 1
memory = "4GiB"
storage = "1GB"
longest = "8h"
[[flavours]]
id = "medium"
title = "Medium"
cpus = 2
memory = "8GiB"
storage = "5GB"
longest = "2d"

[[environments]]
id = "jupyter"
title = "Notebook"
description = "JupyterLab with pyFAI, h5py and matplotlib, and a notebook that integrates a detector image."
used_as = "notebook"
carried_by = "{carried_by}"
command = [{json.dumps(str(python))}, {json.dumps(str(start))}, "{{work}}", "{listens}"]
variables = {{ {token} }}
headers = {{ Authorization = "token {{secret}}" }}
software = [{_software("jupyterlab", "pyFAI", "h5py", "matplotlib")}]
flavours = ["small", "medium"]
recommended = "small"
[[environments]]
id = "reduction"
title = "Azimuthal integration"
description = "Integrates every frame of a dataset with pyFAI, and leaves the curves in processed."
used_as = "task"
carried_by = "{carried_by}"
command = [{json.dumps(str(python))}, {json.dumps(str(start.with_name("reduce.py")))}, "{{results}}"]
software = [{_software("pyFAI", "h5py")}]
flavours = ["small"]
recommended = "small"
"""
    return _private(site / "agent.toml", text)


def _own_user() -> str:
    return f"""[compute]
adapter = "process"
[compute.process]
isolation = "none"
folder = "w"
grace_s = 3
readable = [{json.dumps(str(prepare.HERE / "environment"))}]
packages = "packages"
"""


def _software(*keys: str) -> str:
    titles = {"jupyterlab": "JupyterLab", "pyFAI": "pyFAI", "h5py": "h5py", "matplotlib": "Matplotlib"}
    lines = (prepare.HERE / "environment" / "requirements.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    return ", ".join(
        f'{{ name = "{title}", version = "{pinned[key]}" }}' for key, title in titles.items() if key in keys
    )


def _accounts(facility: str, extra: tuple[str, ...], ground: Ground | None) -> str:
    hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
    tables = []
    for person in PEOPLE:
        username, password, uid = person.accounts[facility]
        own = extra if extra and person is PEOPLE[0] else person.proposals[facility]
        home, groups = (
            (ground.home(username), ground.groups_of(own)) if ground else (Path("/home", username), [SHARED])
        )
        tables.append(
            f'[[accounts]]\nusername = "{username}"\nimmutable_id = "{uid}"\ndisplay_name = "{person.name}"\n'
            f'password = "{hasher.hash(password)}"\nuid = {uid}\ngid = {uid}\ngroups = {groups}\n'
            f"home = {json.dumps(str(home))}\nproposals = {json.dumps(list(own))}\n"
        )
    return "\n".join(tables)


def proposals_below(folder: Path) -> tuple[str, ...]:
    """The proposals of a folder's files, read as the facility's catalogue reads them."""
    import tempfile

    from facility_agent.adapters.catalogue.nexus_index import Index
    from facility_agent.adapters.catalogue.nexus_reader import Reader
    from shared.catalogue import SearchQuery

    reader = Reader()
    try:
        with tempfile.TemporaryDirectory() as state:
            index = Index(Path(state) / "index", folder.resolve(), "alpha")
            index.update(reader)
            found = index.proposals()
            page = index.search(SearchQuery(), found, frozenset())
    finally:
        reader.close()
    if not page.datasets:
        raise RuntimeError(f"{folder} holds no NeXus file that names its proposal or lies in a folder of one")
    return tuple(sorted(found))
