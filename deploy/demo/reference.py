"""The direct calculation that the notebook's curve is compared with: pyFAI on the same file, without Parasol."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from pyFAI.calibrant import get_calibrant
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

from deploy.demo.data import HC

UNITS = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "": 1e-3}
METHOD = ("bbox", "csr", "cython")


@dataclass(frozen=True, slots=True)
class Curve:
    """q in 1/Å and the intensity."""

    q: np.ndarray
    intensity: np.ndarray


def direct(path: Path) -> Curve:
    """Integrate a file of the demo or one laid out like the areaDetector's NeXus files."""
    with h5py.File(path, "r") as file:
        instrument = file["entry/instrument"]
        detector = instrument["detector"]

        def metres(name: str) -> float:
            units = detector[name].attrs.get("units", "")
            scale = UNITS[units.decode() if isinstance(units, bytes) else units]
            return float(np.ravel(detector[name][()])[0]) * scale

        image = np.asarray(file["entry/data/data"], dtype=float)
        energy = float(np.ravel(instrument["monochromator/energy"][()])[0])
        geometry = AzimuthalIntegrator(
            dist=metres("distance"), poni1=metres("beam_center_y"), poni2=metres("beam_center_x"),
            pixel1=metres("y_pixel_size"), pixel2=metres("x_pixel_size"), wavelength=HC / energy * 1e-10,
        )  # fmt: skip
    q, intensity = geometry.integrate1d(image, 1000, unit="q_A^-1", mask=image < 0, method=METHOD)
    return Curve(np.asarray(q), np.asarray(intensity))


def difference(one: Curve, other: Curve) -> float:
    """The largest difference, relative to the largest intensity; infinite when the axes differ."""
    if one.q.shape != other.q.shape or not np.allclose(one.q, other.q, rtol=1e-9, atol=0):
        return float("inf")
    return float(np.max(np.abs(one.intensity - other.intensity)) / np.max(np.abs(other.intensity)))


def peak_errors(curve: Curve, calibrant_name: str, count: int = 5) -> list[float]:
    """For each of the strongest `count` rings of the curve, how far its d lies from the nearest d of the calibrant.

    Relative. A ring is the centroid around a local maximum; neighbours closer than 12 bins count once.
    """
    spacings = np.asarray(get_calibrant(calibrant_name).dspacing)
    smooth = np.convolve(curve.intensity, np.ones(5) / 5, mode="same")
    order, rings = np.argsort(smooth[30:-30])[::-1] + 30, []
    for index in order:
        if len(rings) == count:
            break
        window = smooth[index - 12 : index + 13]
        if smooth[index] == window.max() and all(abs(index - ring) > 12 for ring in rings):
            rings.append(int(index))
    errors = []
    for index in rings:
        near = slice(index - 4, index + 5)
        weight = curve.intensity[near] - curve.intensity[near].min()
        d = 2 * np.pi / (np.sum(curve.q[near] * weight) / np.sum(weight))
        errors.append(float(np.min(np.abs(spacings - d) / spacings)))
    return errors
