"""A person's own packages: what pip and conda install in one workspace is there in the next. Standard library only.

`PYTHONUSERBASE` (PEP 370) keeps them apart by Python's version, and Python looks there after its environment's own packages …
unless it is in a virtual environment that was made without `--system-site-packages`: that one sees none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def prepared(folder: Path) -> Mapping[str, str]:
    """The variables that lead there; it is made when it is missing, closed to others. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return variables(folder)


def variables(folder: Path) -> Mapping[str, str]:
    """The variables that lead there."""
    return {
        "PYTHONUSERBASE": str(folder), "PIP_USER": "1", "CONDA_ENVS_DIRS": f"{folder}/conda/envs",
        "CONDA_PKGS_DIRS": f"{folder}/conda/pkgs",
    }  # fmt: skip


def after(path: str, own: Mapping[str, str]) -> str:
    """`PATH` with the programs of those packages at its end."""
    return ":".join([path, *(f"{folder}/bin" for folder in folders(own))])


def folders(own: Mapping[str, str]) -> list[str]:
    """Where they lie, as these variables say."""
    return [own["PYTHONUSERBASE"]] if own else []
