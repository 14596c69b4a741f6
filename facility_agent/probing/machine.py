"""Probes of what computes, and of the place where the egress log is written."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from facility_agent.egress.chain import Broken
from facility_agent.egress.files import log_files, read_head
from facility_agent.probing.results import Place, Probes, short
from shared.facilities import Flavour

_GIB = 2**30
VERIFY = "See `facility-agent egress verify`."


async def compute(backend: Any, flavours: Iterable[Flavour], place: Place, seconds: float) -> bool:
    """Whether something hung. It is asked what it has; nothing is started."""
    probes = Probes(place, seconds)

    async def describes() -> None:
        has = await backend.capacity()
        await backend.list_owned()
        cpus = f"{has.cpus_total} CPUs" if has.cpus_total is not None else "it does not say how many CPUs"
        memory = f"{has.memory_total / _GIB:.1f} GiB" if has.memory_total is not None else "nor how much memory"
        place.ok("itself", f"{getattr(backend, 'detail', '')} {cpus}, {memory}.".lstrip())
        for flavour in flavours:
            if _larger(flavour.cpus, has.cpus_total) or _larger(flavour.memory, has.memory_total):
                said = (
                    f"{flavour.id} ({flavour.cpus} CPUs, {flavour.memory / _GIB:.1f} GiB) is more than there is."
                )
                place.warn("flavours", said, "Make it smaller, or nobody gets what it says.")

    await probes.run("itself", describes)
    return probes.hung


def _larger(wanted: int, has: int | None) -> bool:
    return has is not None and wanted > has


async def egress(folder: Path, head_file: Path, file_bytes: int, place: Place, seconds: float) -> bool:
    """Whether something hung. The log itself is not written, which an agent may be doing now."""
    probes = Probes(place, seconds)

    async def writable() -> None:
        said, mend = await asyncio.to_thread(_writable, folder, head_file)
        if said:
            place.fail("writing", said, mend)
            return
        place.ok("writing", "Its folder can be written, and lasts.")
        free = await asyncio.to_thread(_free, folder)
        if free < file_bytes:
            place.warn("room", f"{free // 2**20} MiB are free.", "Make room: while it is full nothing is sent.")

    await probes.run("writing", writable)
    return probes.hung


def _there(folder: Path) -> Path:
    """The folder, or what it will be made in."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _free(folder: Path) -> int:
    found = os.statvfs(_there(folder))
    return found.f_bavail * found.f_frsize


def _writable(folder: Path, head_file: Path) -> tuple[str, str]:
    """(what is wrong, its mend); empty when nothing is. A file of its own is written, made durable and taken away."""
    there = _there(folder)
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        files = log_files(folder)
        for path in (*files[-1:], *([head_file] if head_file.exists() else [])):
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
        head = read_head(head_file)
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else there
        return (
            f"{short(where)}: {error.strerror}.",
            "Give it to the agent's user, with room; until then nothing is sent.",
        )
    except Broken as error:
        return f"{error}.", VERIFY
    if files and head is None:
        return f"{head_file.name} is gone.", VERIFY
    return "", ""
