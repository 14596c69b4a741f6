"""What outlasts a workspace: a package that its person installed, and the results of a task that nobody watches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from deploy.demo.journey import Journey, Step, must
from deploy.demo.reference import Curve
from deploy.demo.world import World


def packages(step: Step, journey: Journey, kernel: Any, dataset: dict[str, Any]) -> None:
    """Installed in one workspace, used in the next."""
    step("install a package of one's own", lambda: _install(kernel))
    step("stop the workspace", journey.stop)
    step("start another", lambda: (journey.launch(dataset), journey.open_workspace()))
    another = step("start a kernel there", journey.kernel)
    step("the package is there", lambda: must(another.run(USE).strip() == "42", "it is not"))
    step("stop the other workspace", journey.stop)


def task(
    step: Step, journey: Journey, world: World, dataset: dict[str, Any], agrees: Callable[[Curve], None]
) -> None:
    """Started, and left alone: the person signs out."""
    step("start a reduction as a task", lambda: _order(journey, dataset))
    step("sign out everywhere", journey.sign_out)
    step("afterwards everything of one's own is refused", journey.refused_afterwards)
    folder = step("the task ends with nobody signed in", lambda: _results(world, dataset, journey.workspace))
    step("its curve agrees with direct pyFAI to 1e-6", lambda: agrees(_reduced(folder)))
    step("sign in again", journey.sign_in)
    step("the person is told where it is", lambda: _told(journey, folder))


INSTALL = """
import subprocess, sys
from pathlib import Path
source = Path("scratch/mine_alone")
source.mkdir()
(source / "pyproject.toml").write_text('[build-system]\\nrequires = []\\nbuild-backend = "made"\\nbackend-path = ["."]\\n')
(source / "made.py").write_text(BACKEND)
done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", str(source)], capture_output=True, text=True)
print(done.returncode, done.stdout + done.stderr)
"""
BACKEND = """
import zipfile
def build_wheel(folder, settings=None, metadata=None):
    name, info = "mine_alone-1-py3-none-any.whl", "mine_alone-1.dist-info"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as file:
        file.writestr("mine_alone.py", "answer = 42")
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: mine-alone\\nVersion: 1\\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr(f"{info}/RECORD", "")
    return name
"""
USE = "import mine_alone; print(mine_alone.answer)"


def _install(kernel: Any) -> None:
    """With pip, from source, without an index."""
    said = kernel.run(f"BACKEND = {BACKEND!r}\n{INSTALL}")
    must(said.startswith("0 "), f"pip: {said}")


def _order(journey: Journey, dataset: dict[str, Any]) -> None:
    problem = journey.order(dataset, "reduction")
    must(not problem, problem)


def _results(world: World, dataset: dict[str, Any], task: str) -> Path:
    """The task's folder on the facility's disk, once curves are in it."""
    processed = world.folder / "processed" / "alpha" / dataset["proposal"]

    def found() -> list[Path]:
        return [path for path in processed.glob(f"reduction-*-{task[:8]}") if list(path.glob("*.curves.h5"))]

    world.wait(lambda: bool(found()), "alpha-agent", 60.0)
    return found()[0]


def _reduced(folder: Path) -> Curve:
    with h5py.File(next(folder.glob("*.curves.h5")), "r") as file:
        curves = file["entry/curves/intensity"]
        must(len(curves) == 1, f"{len(curves)} frames")
        return Curve(np.asarray(file["entry/curves/q"]), np.asarray(curves[0]))


def _told(journey: Journey, folder: Path) -> None:
    end = time.monotonic() + 30
    while (seen := journey.state())["state"] != "ENDED":
        must(time.monotonic() < end, f"{seen}")
        threading.Event().wait(0.1)
    must(seen["openUrl"] is None, "a task can be opened")
    must(seen["problem"]["code"] == "FINISHED" and folder.name in seen["problem"]["message"], f"{seen}")
    must("frames" in (folder / "log.txt").read_text(), "its log says nothing")
