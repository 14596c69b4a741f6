"""Integrates every frame of a dataset around the beam, with nobody watching: a task's program.

Argument: the task's folder. `task.json` in it says which files and where the proposals are; each file's curves go beside it, as NeXus:
`<name>.curves.h5` with `entry/curves/intensity` (one row a frame) over `entry/curves/q` (1/Å).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("SILX_OPENCL", "0")  # on the CPU, without a warning that OpenCL is missing

import h5py
import numpy as np
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

LENGTHS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "": 1e-3}  # without units: millimetres
BINS, METHOD = 1000, ("bbox", "csr", "cython")
HC = 12.398419843320026  # keV Å


def metres(node: h5py.Dataset) -> float:
    """A length of a file."""
    units = node.attrs.get("units", "")
    return float(np.ravel(node[()])[0]) * LENGTHS[units.decode() if isinstance(units, bytes) else units]


def child(group: h5py.Group, nx_class: str) -> h5py.Group:
    """The first group of a class."""
    for name in group:
        found = group.get(name)
        if isinstance(found, h5py.Group) and found.attrs.get("NX_class") in (nx_class, nx_class.encode()):
            return found
    raise KeyError(f"no {nx_class} in {group.name}")


def geometry(entry: h5py.Group) -> AzimuthalIntegrator:
    """What the file says of its detector and its beam."""
    instrument = child(entry, "NXinstrument")
    detector, mono = child(instrument, "NXdetector"), child(instrument, "NXmonochromator")
    return AzimuthalIntegrator(
        dist=metres(detector["distance"]), poni1=metres(detector["beam_center_y"]), poni2=metres(detector["beam_center_x"]),
        pixel1=metres(detector["y_pixel_size"]), pixel2=metres(detector["x_pixel_size"]),
        wavelength=HC / float(np.ravel(mono["energy"][()])[0]) * 1e-10,
    )  # fmt: skip


def reduce(source: Path, target: Path) -> int:
    """Integrate each frame; how many there were."""
    with h5py.File(source, "r") as file:
        entry = child(file, "NXentry")
        frames, around = child(entry, "NXdata")["data"], geometry(entry)
        count = int(np.prod(frames.shape[:-2]))
        curves = np.empty((count, BINS))
        for number, index in enumerate(np.ndindex(*frames.shape[:-2])):
            image = np.asarray(frames[index], dtype=float)
            q, curves[number] = around.integrate1d(image, BINS, unit="q_A^-1", mask=image < 0, method=METHOD)
    part = target.with_name(f"{target.name}.part")  # who looks meanwhile sees no half of it
    with h5py.File(part, "w") as file:
        group = file.create_group("entry/curves")
        file["entry"].attrs["NX_class"] = "NXentry"
        group.attrs.update(NX_class="NXdata", signal="intensity", axes=[".", "q"])
        group["intensity"], group["q"] = curves, q
        group["q"].attrs["units"] = "1/angstrom"
    part.rename(target)
    return count


def main() -> None:
    """Exit code 1 when a file of the dataset is not there or nothing could be reduced."""
    results = Path(sys.argv[1])
    told = json.loads((results / "task.json").read_text())
    roots = [Path(folder) for folder in told["folders"] if folder.startswith("proposals/")]
    for name in told["files"]:
        source = next((path for root in roots for path in root.rglob(Path(name).name) if path.match(name)), None)
        if source is None:
            sys.exit(f"{name} is not in {', '.join(map(str, roots))}")
        frames = reduce(source, results / f"{Path(name).name}.curves.h5")
        print(f"{name}: {frames} frames", flush=True)
    if not told["files"]:
        sys.exit("this task needs a dataset")


if __name__ == "__main__":
    main()
