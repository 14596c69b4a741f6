"""A folder below a root, and nowhere else."""

from __future__ import annotations

from errno import ENAMETOOLONG
from pathlib import Path

from shared.errors import BackendUnavailable

_AWAY = "The facility cannot read its folder of data at the moment."


def contained(root: Path, relative: str) -> Path | None:
    """The folder `relative` below `root`, links followed; None when there is none, or when it lies elsewhere then.

    The root itself is none. Raises BackendUnavailable when the file system does not say. Blocks.
    """
    try:
        whole = root.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise BackendUnavailable(_AWAY) from error
    try:
        folder = (whole / relative).resolve(strict=True)
        good = folder != whole and folder.is_relative_to(whole) and folder.is_dir()
    except (FileNotFoundError, NotADirectoryError, RuntimeError, ValueError):
        return None
    except OSError as error:
        if error.errno == ENAMETOOLONG:
            return None
        raise BackendUnavailable(_AWAY) from error
    return folder if good else None
