"""The whole journey against the real processes without a screen: a line a step with its time."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from deploy.demo import data, lasting
from deploy.demo.ground import Ground
from deploy.demo.harvest import harvest
from deploy.demo.identity import as_the_account
from deploy.demo.journey import Journey, StepFailed, must, notebook_cells
from deploy.demo.neighbour import neighbour
from deploy.demo.outages import outages
from deploy.demo.reference import Curve, difference, direct, peak_errors
from deploy.demo.world import World

TOLERANCE, PEAKS = 1e-6, 0.005
CALIBRANT = {m.title: m.calibrant for _, (_, measurements) in data.FACILITIES.items() for m in measurements}


def free_base() -> int:
    """The first of six ports that are free now."""
    for base in range(20_000, 60_000, 10):
        try:
            for port in range(base, base + 6):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise RuntimeError("no six free ports in a row")


def check(
    base: int | None, data_folder: Path | None, say: Callable[[str], None], ground: Ground | None = None
) -> int:
    """Run the journey; 0 only if every step holds."""
    begun = time.monotonic()
    try:
        with World(base or free_base(), data_folder, say, ground=ground) as world:
            _steps(world, data_folder, say, ground)
    except (StepFailed, RuntimeError, TimeoutError) as error:
        say(f"FAILED: {error}")
        return 1
    say(f"the whole journey holds ({time.monotonic() - begun:.1f} s)")
    return 0


def _steps(world: World, data_folder: Path | None, say: Callable[[str], None], ground: Ground | None) -> None:
    journey = Journey(world.addresses)

    def step(name: str, do: Callable[[], Any]) -> Any:
        started = time.monotonic()
        try:
            result = do()
        except Exception as error:
            raise StepFailed(f"{name}: {type(error).__name__}: {error}") from error
        say(f"ok {name} ({(time.monotonic() - started) * 1000:.0f} ms)")
        return result

    step("two facilities are seen by anyone", journey.facilities)
    step("open data are found without signing in", journey.open_data)
    step("sign in with UmbrellaID", journey.sign_in)
    step("each facility asks for a sign-in there", journey.outcomes_before)
    step("link the account at Alpha and grant", lambda: journey.connect("alpha"))
    step("a second grant is silent", lambda: journey.regrant("alpha"))
    step("link the account at Beta and grant", lambda: journey.connect("beta"))
    step("harvesters read the same open data", lambda: harvest(journey))
    query = {"proposals": ["GUP26110"]} if _is_shared_file(data_folder) else {"facilities": ["Facility:alpha"]}
    dataset = step("find one's own dataset", lambda: journey.find(**query))
    states = step("start JupyterLab where it lies", lambda: journey.launch(dataset))
    say(f"   states seen: {' → '.join(states)}")
    step("open the workspace", journey.open_workspace)
    kernel = step("start a kernel through the gateway", journey.kernel)
    curve = step("run the notebook there", lambda: _run_notebook(kernel, dataset))
    source = _source(world, data_folder, curve[1])
    step("the curve agrees with direct pyFAI to 1e-6", lambda: _agrees(curve[0], source))
    if data_folder is None:
        step("the peaks lie at the calibrant's d-spacings", lambda: _peaks(curve[0], dataset["title"]))
    if ground:
        step("the program is the account and nobody else", lambda: as_the_account(kernel, ground, world, dataset))
    step("proposals are read-only, scratch and processed are not", lambda: _read_only(kernel))
    if ground:
        neighbour(step, world, kernel)
    lasting.packages(step, journey, kernel, dataset)
    if ground:
        outages(step, journey, world, ground, dataset)
    lasting.task(step, journey, world, dataset, lambda curve: _agrees(curve, source))


def _is_shared_file(folder: Path | None) -> bool:
    return folder is not None and any(folder.glob("AgBehenate*"))


def _run_notebook(kernel: Any, dataset: dict[str, Any]) -> tuple[Curve, str]:
    cells = notebook_cells()
    kernel.run(cells[0])
    kernel.run(cells[1])
    choose = f"wanted = {json.dumps(dataset['title'])}\n" + CHOOSE
    kernel.run(choose)
    for cell in cells[2:]:
        kernel.run(cell.replace("path = files[0]", "path = chosen"))
    printed = kernel.run("import json; print(json.dumps([q.tolist(), intensity.tolist(), str(path)]))")
    q, intensity, path = json.loads(printed)
    return Curve(np.array(q), np.array(intensity)), path


CHOOSE = """
def title_of(path):
    with h5py.File(path, "r") as file:
        value = np.ravel(file["entry/title"][()])[0]
        return value.decode() if isinstance(value, bytes) else str(value)

chosen = next(path for path in files if title_of(path) == wanted)
"""


def _source(world: World, data_folder: Path | None, path: str) -> Path:
    relative = Path(path).parts[2:]
    root = data_folder or world.folder / "data" / "alpha" / Path(path).parts[1]
    return root.joinpath(*relative)


def _agrees(curve: Curve, source: Path) -> None:
    far = difference(curve, direct(source))
    must(far <= TOLERANCE, f"the curve differs by {far:.2g}")


def _peaks(curve: Curve, title: str) -> None:
    errors = peak_errors(curve, CALIBRANT[title])
    must(len(errors) == 5 and max(errors) <= PEAKS, f"the five strongest peaks are off by {errors}")


def _read_only(kernel: Any) -> None:
    code = """
try:
    next(Path("proposals").iterdir()).joinpath("intruder").write_text("x")
    print("WRITTEN")
except OSError:
    print("refused")
Path("scratch/mine").write_text("x")
next(Path("processed").iterdir()).joinpath("mine").write_text("x")
"""
    must(kernel.run(code).strip() == "refused", "a proposal can be written")
