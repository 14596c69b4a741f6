"""Reads what a NeXus file says of itself, in a child process that cannot cost more than it may.

As a program: one path per line on standard input, one JSON object per line on standard output. The parent kills it
when an answer takes more than two seconds; the memory that a file may cost is bounded by RLIMIT_AS.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SECONDS, MEMORY = 2.0, 64 * 2**20
TEXT = 300
FIELDS = ("title", "proposal", "instrument", "sample", "definition")


class Reader:
    """A reusable child; a new one is started when the last was killed. Not thread-safe."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None

    def read(self, path: Path) -> dict[str, Any]:
        """What the file says. Raises TimeoutError, and ValueError with a short reason when it cannot be read."""
        if "\n" in str(path):
            raise ValueError("its name contains a line break")
        child = self._child or self._start()
        assert child.stdin is not None and child.stdout is not None  # noqa: PT018
        try:
            child.stdin.write(os.fsencode(path) + b"\n")
            child.stdin.flush()
            answer = self._line(child)
        except (BrokenPipeError, EOFError):
            self.close()
            raise ValueError("reading it needs more memory than a file may cost") from None
        except TimeoutError:
            self.close()
            raise
        said: dict[str, Any] = json.loads(answer)
        if "error" in said:
            raise ValueError(said["error"])
        return said

    def _start(self) -> subprocess.Popen[bytes]:
        self._child = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._line(self._child, 20.0)  # it says that it is ready, so that its start does not count against a file
        return self._child

    def _line(self, child: subprocess.Popen[bytes], seconds: float | None = None) -> bytes:
        assert child.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            if not selector.select(seconds or self._seconds):
                raise TimeoutError
        line = child.stdout.readline()
        if not line:
            raise EOFError
        return line

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


# --- in the child


def main() -> None:
    """Serve until standard input ends."""
    import h5py

    with Path("/proc/self/statm").open() as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.write("\n")
    sys.stdout.flush()
    for line in sys.stdin.buffer:
        try:
            with h5py.File(line.rstrip(b"\n"), "r", locking=False) as file:
                said = describe(file)
        except MemoryError:
            os._exit(1)
        except Exception as error:  # noqa: BLE001 (whatever a hostile file makes the library raise)
            said = {"error": f"it is no readable HDF5 file ({type(error).__name__})"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


def describe(file: Any) -> dict[str, Any]:
    """Fields of the file's default entry. Times are POSIX seconds; a time without an offset counts as UTC."""
    entry = _entry(file)
    instrument = _first(entry, "NXinstrument")
    sample = _first(entry, "NXsample")
    user = _first(entry, "NXuser")
    file_time = _time(_attribute(file, "file_time"))
    return {
        "title": _text(entry, "title"),
        "proposal": _text(entry, "experiment_identifier")
        or _text(user, "proposal_number")
        or _text(user, "proposal"),
        "instrument": _text(instrument, "name"),
        "sample": _text(sample, "name"),
        "definition": _text(entry, "definition"),
        "started": _time(_text(entry, "start_time")) or file_time,
        "ended": _time(_text(entry, "end_time")),
    }


def _entry(file: Any) -> Any:
    default = _attribute(file, "default")
    names = [default] if default else []
    for name in [*names, *list(file)[:100]]:
        group = _child_of(file, name)
        if group is not None and _attribute(group, "NX_class") == "NXentry":
            return group
    return None


def _first(parent: Any, nx_class: str) -> Any:
    """The first child group of a class, by name."""
    for name in list(parent)[:200] if parent is not None else ():
        group = _child_of(parent, name)
        if group is not None and hasattr(group, "keys") and _attribute(group, "NX_class") == nx_class:
            return group
    return None


def _child_of(parent: Any, name: str) -> Any:
    """A child by hard link; soft and external links are not followed."""
    import h5py

    if parent is None or "/" in name or not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        return None
    return parent.get(name)


def _attribute(thing: Any, name: str) -> str:
    if name not in thing.attrs or thing.attrs.get_id(name).get_storage_size() > 65_536:
        return ""
    return _string(thing.attrs[name])


def _text(parent: Any, name: str) -> str:
    dataset = _child_of(parent, name)
    if dataset is None or not hasattr(dataset, "shape") or dataset.size is None or dataset.size > 16:
        return ""
    if dataset.is_virtual or dataset.external or dataset.dtype.itemsize > 65_536:
        return ""
    return _string(dataset[()])


def _string(value: Any) -> str:
    if hasattr(value, "ravel"):
        value = value.ravel()[0] if value.size else ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = "".join(c if c.isprintable() else " " for c in str(value)[: TEXT * 2])
    return " ".join(text.split())[:TEXT]


def _time(text: str) -> float | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    return seconds if -62_135_596_800 <= seconds <= 253_402_300_799 else None


if __name__ == "__main__":
    main()
