"""Simulated measurements of calibrants, written as NeXus. Same seed, same files."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
from pyFAI.calibrant import get_calibrant
from pyFAI.crystallography.resolution import Caglioti
from pyFAI.detectors import Detector
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

HC = 12.398419843320026  # keV · Å
VERSION = 2
START = datetime(2026, 9, 14, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Beamline:
    """Where a simulated image is taken. Lengths in metres, energy in keV."""

    name: str
    definition: str
    energy: float
    distance: float
    pixel: float
    shape: tuple[int, int]
    beam: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One file to be."""

    proposal: str
    title: str
    sample: str
    calibrant: str
    hours: int


POWDER = Beamline("P02 Powder", "NXmonopd", 25.0, 0.25, 300e-6, (512, 512), (0.0768, 0.0768))
SCATTER = Beamline("S12 SAXS", "NXsas", 12.4, 0.6, 350e-6, (487, 487), (0.0612, 0.085))
IMAGING = Beamline("I07 Wide angle", "NXsas", 18.0, 0.18, 350e-6, (400, 400), (0.07, 0.07))

FACILITIES: dict[str, tuple[Beamline, list[Measurement]]] = {
    "alpha": (
        POWDER,
        [
            Measurement("AL-2026-001", "Lanthanum hexaboride standard", "LaB6", "LaB6", 0),
            Measurement("AL-2026-001", "Cerium dioxide at room temperature", "CeO2", "CeO2", 3),
            Measurement("AL-2026-001", "Cerium dioxide, second mount", "CeO2", "CeO2", 5),
            Measurement("AL-2026-002", "Silicon 640 calibration", "Si", "Si", 30),
            Measurement("AL-2026-002", "Nickel powder", "Ni", "Ni", 32),
            Measurement("AL-2026-007", "Gold foil", "Au", "Au", 80),
            Measurement("AL-2026-007", "Corundum plate", "Al2O3", "alpha_Al2O3", 82),
            Measurement("AL-open-2025", "Silicon for everybody", "Si", "Si", -900),
            Measurement("AL-open-2025", "LaB6 for everybody", "LaB6", "LaB6", -898),
        ],
    ),
    "beta": (
        IMAGING,
        [
            Measurement("BE-26-11", "Chromium oxide film", "Cr2O3", "Cr2O3", 12),
            Measurement("BE-26-11", "Chromium oxide film, annealed", "Cr2O3", "Cr2O3", 14),
            Measurement("BE-26-12", "Zinc oxide nanopowder", "ZnO", "ZnO", 60),
            Measurement("BE-26-12", "Zinc oxide nanopowder, heated", "ZnO", "ZnO", 64),
            Measurement("BE-open", "Cerium dioxide round robin", "CeO2", "CeO2", -400),
            Measurement("BE-open", "Gold nanoparticles", "Au", "Au", -398),
        ],
    ),
}
OPEN = {"alpha": ("AL-open-2025",), "beta": ("BE-open",)}


def write(facility: str, root: Path) -> list[Path]:
    """Write a facility's files below `root`, a folder per proposal, read-only; returns their paths."""
    beamline, measurements = FACILITIES[facility]
    paths = []
    for number, measurement in enumerate(measurements, 1):
        folder = root / measurement.proposal
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{measurement.sample}_{number:03d}.nxs"
        _write_file(path, facility, beamline, measurement, number)
        path.chmod(0o444)
        paths.append(path)
    for folder in [*root.iterdir(), root]:
        folder.chmod(0o555)
    return paths


def simulate(beamline: Beamline, calibrant_name: str, seed: int) -> np.ndarray:
    """A detector image of a powder's rings with background and counting noise."""
    geometry = geometry_of(beamline)
    calibrant = get_calibrant(calibrant_name)
    calibrant.wavelength = geometry.wavelength
    rings = calibrant.fake_calibration_image(geometry, Imax=4000.0, resolution=Caglioti(0, 0, 0.00008))
    two_theta = geometry.center_array(beamline.shape, unit="2th_rad")
    background = 60.0 * np.exp(-two_theta * 6) + 5.0
    return np.random.default_rng(seed).poisson(np.clip(rings, 0, None) + background).astype(np.int32)


def geometry_of(beamline: Beamline) -> AzimuthalIntegrator:
    """The geometry that the simulation uses."""
    detector = Detector(beamline.pixel, beamline.pixel, max_shape=beamline.shape)
    return AzimuthalIntegrator(
        dist=beamline.distance, poni1=beamline.beam[0], poni2=beamline.beam[1], detector=detector,
        wavelength=HC / beamline.energy * 1e-10,
    )  # fmt: skip


def _write_file(path: Path, facility: str, beamline: Beamline, measurement: Measurement, number: int) -> None:
    image = simulate(beamline, measurement.calibrant, zlib.crc32(f"{facility} {number}".encode()))
    begin = START + timedelta(hours=measurement.hours)
    with h5py.File(path, "w") as file:
        file.attrs.update(default="entry", file_time=begin.isoformat(), creator="Parasol demo")
        entry = _group(file, "entry", "NXentry", default="data")
        entry["title"] = measurement.title
        entry["definition"] = beamline.definition
        entry["experiment_identifier"] = measurement.proposal
        entry["start_time"] = begin.isoformat()
        entry["end_time"] = (begin + timedelta(minutes=12)).isoformat()
        instrument = _group(entry, "instrument", "NXinstrument")
        instrument["name"] = beamline.name
        mono = _group(instrument, "monochromator", "NXmonochromator")
        _value(mono, "energy", beamline.energy, "keV")
        _value(mono, "wavelength", HC / beamline.energy, "angstrom")
        detector = _group(instrument, "detector", "NXdetector")
        _value(detector, "distance", beamline.distance, "m")
        _value(detector, "beam_center_x", beamline.beam[1] * 1e3, "mm")
        _value(detector, "beam_center_y", beamline.beam[0] * 1e3, "mm")
        _value(detector, "x_pixel_size", beamline.pixel * 1e6, "um")
        _value(detector, "y_pixel_size", beamline.pixel * 1e6, "um")
        detector.create_dataset("data", data=image, compression="gzip", compression_opts=4, shuffle=True)
        sample = _group(entry, "sample", "NXsample")
        sample["name"] = measurement.sample
        sample["description"] = f"Simulated powder rings of {measurement.calibrant}"
        data = _group(entry, "data", "NXdata", signal="data")
        data["data"] = h5py.SoftLink("/entry/instrument/detector/data")


def _group(parent: h5py.Group, name: str, nx_class: str, **attributes: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs.update(NX_class=nx_class, **attributes)
    return group


def _value(parent: h5py.Group, name: str, value: float, units: str) -> None:
    parent[name] = value
    parent[name].attrs["units"] = units
