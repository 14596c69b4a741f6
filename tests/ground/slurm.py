"""Alpha on a Slurm of one node, through a helper."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from deploy.demo import prepare
from deploy.demo.ground import Ground
from deploy.demo.people import PEOPLE
from deploy.setup.ordinary_user import UID
from tests.components import ROOT
from tests.ground.lever import lever
from tests.ground.people import PROPOSALS, members
from tests.privileged.site import as_root
from tests.slurm_site import ACCOUNT, SlurmSite, rootly
from tests.waiting import until


def _groups() -> dict[str, tuple[int, str]]:
    return {name: (gid, ",".join(names)) for name, gid, names in members()}


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    return "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


@contextmanager
def slurm(python: Path) -> Iterator[Ground]:
    """A cluster and a helper, gone at the end. `python` is the environments' program."""
    people = {p.accounts["alpha"][0]: p.accounts["alpha"][2] for p in PEOPLE}
    with as_root():
        cluster = SlurmSite(people=people, groups=_groups(), users={"parasol": UID}, computing=people)
        folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        folder.chmod(0o755)
        helper = _helper(folder, cluster, python)
    try:
        until((folder / "run" / "s").exists, f"the helper listens; it said {(folder / 'log').read_text()}", 20)
        with lever(folder, _Controller(cluster)) as handle:
            yield Ground(_compute(folder, cluster), cluster.folder / "homes", PROPOSALS, handle)
    finally:
        with as_root():
            helper.kill()
            helper.wait()
            cluster.close()
            shutil.rmtree(folder)


class _Controller:
    def __init__(self, cluster: SlurmSite) -> None:
        self._cluster = cluster

    def away(self) -> None:
        self._cluster.stop("slurmctld")

    def back(self) -> None:
        self._cluster.start_controller()

    def runs(self, workspace: str) -> int:
        """Jobs, as the controller tells, or while it is away the node: the accounting may not have heard of the newest."""
        name = f"--name=parasol-{workspace}"
        asked = self._cluster.run("squeue", "--noheader", "--states=all", "--format=%i", name)
        return len(_jobs_here(workspace)) if asked.returncode else len(asked.stdout.split())


def _jobs_here(workspace: str) -> set[bytes]:
    """The jobs whose processes work in a workspace's folder on this machine."""
    found = set()
    with rootly():
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # ended meanwhile
                if workspace in (process / "cwd").readlink().parts:
                    variables = dict(
                        each.partition(b"=")[::2] for each in (process / "environ").read_bytes().split(b"\0")
                    )
                    found.add(variables[b"SLURM_JOB_ID"])
    return found


def _helper(folder: Path, cluster: SlurmSite, python: Path) -> subprocess.Popen[bytes]:
    for name, mode in (("run", 0o755), ("state", 0o700), ("w", 0o711)):
        (folder / name).mkdir(mode)
    table = {"conf": str(cluster.conf), "programs": [{"path": str(python), "variables": ["JUPYTER_TOKEN"]}]}
    said = {
        "agent": "parasol", "socket": str(folder / "run" / "s"), "state": str(folder / "state"), "folder": str(folder / "w"),
        "programs": [{"path": os.path.realpath("/usr/bin/true")}], "slurm": table,
    }  # fmt: skip
    (folder / "helper.toml").write_text("\n".join(f"{key} = {_toml(value)}" for key, value in said.items()))
    words = [
        *cluster.around,
        sys.executable,
        "-m",
        "facility_agent.helper.server",
        "-c",
        str(folder / "helper.toml"),
    ]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _compute(folder: Path, cluster: SlurmSite) -> str:
    default = _toml({"partition": "main", "account": ACCOUNT})
    return (
        f'[compute]\nadapter = "slurm"\n[compute.slurm]\nhelper = "{folder}/run/s"\nconf = "{cluster.conf}"\n'
        f'listen = "127.0.0.1"\naddress = "127.0.0.1"\ndefault = {default}\n'
        f"readable = [{json.dumps(str(prepare.HERE / 'environment'))}]\nwritable = []\n"  # the demo may lie in /tmp
    )
