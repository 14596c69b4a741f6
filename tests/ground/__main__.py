"""`python -m tests.ground slurm COMMAND…`: as root, set the ground up, run the command with `--ground FILE`, and clear it all away."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.setup.ordinary_user import drop
from tests.ground.kubernetes import kubernetes
from tests.ground.slurm import slurm
from tests.privileged.site import as_agent, as_root

GROUNDS = {"kubernetes": kubernetes, "slurm": slurm}


def _environment() -> Path:
    """The notebook's interpreter, made by the ordinary user."""
    hear, tell = os.pipe()
    if os.fork() == 0:
        drop()
        from deploy.demo.prepare import notebook_environment

        os.write(tell, str(notebook_environment(print)).encode())
        os._exit(0)
    os.close(tell)
    with os.fdopen(hear) as told:
        folder = told.read()
    os.wait()
    if not folder:
        sys.exit("the notebook environment could not be made")
    return Path(folder) / "bin" / "python"


def main() -> None:
    """Entry point."""
    if len(sys.argv) < 3 or sys.argv[1] not in GROUNDS:
        sys.exit(f"usage: python -m tests.ground {'|'.join(GROUNDS)} COMMAND…")
    if os.getuid() != 0:
        sys.exit("a cluster is set up by root: run this as root")
    python = _environment()
    as_agent()  # as the tests that these clusters are made for
    with GROUNDS[sys.argv[1]](python) as ground, tempfile.NamedTemporaryFile("w") as file:
        json.dump(dataclasses.asdict(ground), file, default=str)
        file.flush()
        Path(file.name).chmod(0o644)
        with as_root():
            code = subprocess.run([*sys.argv[2:], "--ground", file.name], check=False).returncode
    sys.exit(code)


if __name__ == "__main__":
    main()
