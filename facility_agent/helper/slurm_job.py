"""What a Slurm job of a workspace is: a script of its own for the node's own Python (3.9 or newer), standard library only.

It stands in the account's private folder, where `spec.json` says what to run; nothing of that is in the script, in its
arguments or in Slurm's list of variables. It runs the program on a Unix socket of the node, listens on a port of the
site's range that it has bound itself, writes `endpoint.json` once it listens, and lets through only connections whose
first request bears the key. A second job for the same workspace finds the mark of the first and ends.

Without an image the program gives up what it does not need (`landlock.py`, which lies beside `spec.json`), where the node's
kernel has Landlock.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

KEY = b"parasol-door"
"""The header that bears the key."""
HEAD, WITHIN_S, AT_ONCE = 65536, 15.0, 512
HAS_RUN, CANNOT_MOUNT = 75, 76
"""Exit codes: another job has run this workspace; a proposal that is to be read only could be written."""
MODULES = '. "$0" >&2 && module load "$@" >&2 && exec env -0'
"""`$0` is the site's file that defines `module`."""


def read(name: str) -> Any:
    """A JSON file of the folder, which is no link."""
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW)) as file:
        return json.load(file)


def claim() -> bool:
    """Whether no other job has run this workspace."""
    try:
        with os.fdopen(os.open("claimed", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(os.environ.get("SLURM_JOB_ID", ""))
    except FileExistsError:
        return False
    return True


def filled(text: str, values: dict[str, str]) -> str:
    """`text` with its placeholders filled in."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def contained(spec: dict[str, Any], command: list[str], work: str, tmp: str) -> list[str]:
    """The command within the image, by Apptainer; variables reach it by the environment, never as arguments."""
    if not spec["image"]:
        return command
    out = [spec["apptainer"], "exec", "--containall", "--no-eval", "--home", spec["home"], "--pwd", work]
    out += ["--nv"] if spec["gpus"] else []
    own = [spec["own"]["PYTHONUSERBASE"]] if spec["own"] else []
    binds = [(work, "rw"), (tmp, "rw"), *((folder, "rw") for folder in own)]
    binds += [(each[1], "ro" if each[2] else "rw") for each in spec["mounts"]]
    for folder, mode in binds:
        if any(sign in folder for sign in ":,"):
            sys.exit("a folder with a colon or a comma cannot be shown in an image")
        out += ["--bind", f"{folder}:{folder}:{mode}"]
    return [*out, spec["image"], *command]


def environment(spec: dict[str, Any], tmp: str, fill: dict[str, str]) -> dict[str, str]:
    """Nothing but what a program needs, what the modules set, and the environment's own variables."""
    out = {
        name: value for name, value in os.environ.items() if name.startswith(("SLURM_", "CUDA_", "ROCR_", "GPU_"))
    }
    out.update(
        PATH="/usr/local/bin:/usr/bin:/bin", HOME=spec["home"], USER=spec["username"], LOGNAME=spec["username"]
    )
    out.update(spec["own"], LANG="C.UTF-8", TMPDIR=tmp)
    if spec["modules"]:
        words = ["/bin/bash", "-c", MODULES, spec["modules_from"], *spec["modules"]]
        said = subprocess.run(words, env=out, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
        if said.returncode != 0:
            sys.exit("its modules could not be loaded")
        out = dict(line.split("=", 1) for line in said.stdout.decode(errors="replace").split("\0") if "=" in line)
    prefix = "APPTAINERENV_" if spec["image"] else ""
    if spec["own"]:
        programs = f"{spec['own']['PYTHONUSERBASE']}/bin"
        out.update({prefix + "APPEND_PATH": programs} if prefix else {"PATH": f"{out['PATH']}:{programs}"})
    out.update({prefix + name: value for name, value in spec["own"].items()} if prefix else {})
    out.update({prefix + name: filled(value, fill) for name, value in spec["variables"].items()})
    return out


def confinement(spec: dict[str, Any], work: str, tmp: str, version: int, landlock: Any) -> dict[str, list[Path]]:
    """What the program may do below which folders, by the words of `landlock.restrict`; empty for whatever the account may.

    `version` is the kernel's. Raises SystemExit where a proposal would not be read-only.
    """
    if spec["image"]:
        return {}
    shown = [folder for _, folder, only in spec["mounts"] if only]
    own = [spec["own"]["PYTHONUSERBASE"]] if spec["own"] else []
    given = [folder for _, folder, only in spec["mounts"] if not only]
    writable = [Path(each) for each in (work, tmp, spec["home"], *own, *given, *spec["writable"])]
    if not all(landlock.protects(Path(each), writable, version) for each in shown):
        os.write(2, b"a proposal lies where the program may write, or the node's Landlock is too old\n")
        sys.exit(CANNOT_MOUNT)
    if version == 0:
        return {}
    may: dict[str, Any] = {"readable": {*spec["readable"]} - {*shown}, "writable": writable, "exact": shown}
    return {name: [*map(Path, folders)] for name, folders in may.items()}


def confined(spec: dict[str, Any], work: str, tmp: str, program: str) -> Any:
    """What the program's process does before it becomes the program; None for nothing. Raises SystemExit."""
    found = importlib.util.spec_from_file_location("landlock", "landlock.py")
    landlock = importlib.util.module_from_spec(found)  # type: ignore[arg-type]
    found.loader.exec_module(landlock)  # type: ignore[union-attr]
    may = confinement(spec, work, tmp, landlock.abi_version(), landlock)
    if not may:
        return None
    may["readable"] += [*landlock.SYSTEM, *landlock.program_folders(Path(program))]
    may["writable"].append(landlock.DEVICES)
    landlock.hold([*may["readable"], *may["writable"], *may["exact"]])  # this process outlives the program
    return lambda: landlock.restrict(**may)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes from one to the other, to the end."""
    with contextlib.suppress(OSError):
        while data := await reader.read(HEAD):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def bears(head: bytes, key: bytes) -> bool:
    """Whether a request's head has the key, once."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    found = [value.strip() for name, _, value in lines if name.lower() == KEY]
    return len(found) == 1 and hmac.compare_digest(found[0], key)


class Door:
    """Lets those who have the key through to the program's socket."""

    def __init__(self, key: str, path: str) -> None:
        self._key, self._path, self._open = key.encode(), path, 0

    async def visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self._open += 1
        try:
            if self._open > AT_ONCE:
                return
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WITHIN_S)  # noqa: TID251 (nodes are older)
            if not bears(head, self._key):
                await refuse(writer, b"403 Forbidden")
                return
            try:
                inward, outward = await asyncio.open_unix_connection(self._path, limit=HEAD)
            except OSError:
                await refuse(writer, b"503 Service Unavailable")
                return
            try:
                outward.write(head)
                await both(pump(reader, outward), pump(inward, writer))
            finally:
                outward.close()
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.TimeoutError):  # noqa: UP041 (nodes are older)
            pass
        finally:
            self._open -= 1
            writer.close()


async def both(to: Any, back: Any) -> None:
    """Until the program has closed; what the visitor still sends then leads nowhere."""
    sending = asyncio.ensure_future(to)
    await back
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def refuse(writer: asyncio.StreamWriter, status: bytes) -> None:
    """An answer without a body."""
    writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await writer.drain()


async def listen(spec: dict[str, Any], door: Door) -> tuple[asyncio.AbstractServer, int]:
    """On a port of the range that was free. Raises SystemExit."""
    least, most = spec["ports"]
    ports = range(least, most + 1)
    for port in random.SystemRandom().sample(ports, min(len(ports), 200)):
        try:
            # Not reuse_address: with it two could listen on one port.
            return await asyncio.start_server(
                door.visit, spec["listen"] or None, port, limit=HEAD, reuse_address=False
            ), port
        except OSError:
            continue
    sys.exit("no port of the site's range is free on this node")


def hand_back(port: int) -> None:
    """Write that its program has begun and on which port it listens, 0 for none; in one step."""
    of = os.environ.get
    place = {"host": of("SLURMD_NODENAME", ""), "port": port, "job": of("SLURM_JOB_ID", "")}
    new = Path("endpoint.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(place, file)
    new.replace("endpoint.json")


async def run(spec: dict[str, Any], work: str, tmp: str) -> int:
    """To the program's end, or SIGTERM; its exit code as a shell has it."""
    path = f"{tmp}/s"
    fill = {"socket": path, "work": work, "secret": spec["secret"], "results": spec.get("results", "")}
    command = [filled(word, fill) for word in spec["command"]]
    first = confined(spec, work, tmp, command[0])
    command, variables = contained(spec, command, work, tmp), environment(spec, tmp, fill)
    if spec.get("results"):
        return await task(spec, command, variables, work, first)
    server, port = await listen(spec, Door(spec["door"], path))
    program = await started(command, variables, work, None, first)
    hand_back(port)
    code = await ended(program)
    server.close()
    return code


async def task(spec: dict[str, Any], command: list[str], variables: dict[str, str], work: str, first: Any) -> int:
    """The same of what listens nowhere; its output is for those who may see its results."""
    os.umask(spec["umask"])
    with os.fdopen(os.open(spec["log"], os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW), "w") as log:
        program = await started(command, variables, work, log, first)
    hand_back(0)
    return await ended(program)


async def started(command: list[str], variables: dict[str, str], work: str, output: Any, first: Any) -> Any:
    """The program, which does this first and which SIGTERM ends; its output goes to this file, with None to the job's. Raises SystemExit."""
    try:
        program = await asyncio.create_subprocess_exec(
            *command,
            env=variables,
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=first,
        )
    except OSError as error:
        sys.exit(f"its program cannot be started: {error.strerror}")
    except subprocess.SubprocessError:
        sys.exit("its program cannot be started: the node's kernel refuses to confine it")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: end(program))
    return program


async def ended(program: Any) -> int:
    """Its exit code, as a shell has it."""
    code = int(await program.wait())
    return code if code >= 0 else 128 - code


def end(program: asyncio.subprocess.Process) -> None:
    """Ask it to end."""
    with contextlib.suppress(ProcessLookupError):
        program.terminate()


def main() -> None:
    """Exit codes: the program's, for which 1 stands in the place of those above; or one of those."""
    os.umask(0o077)
    if not claim():
        sys.exit(HAS_RUN)
    spec, work = read("spec.json"), str(Path.cwd() / "work")
    tmp = tempfile.mkdtemp(prefix="parasol-")
    try:
        code = asyncio.run(run(spec, work, tmp))
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    sys.exit(1 if code in (HAS_RUN, CANNOT_MOUNT) else code)


if __name__ == "__main__":
    main()
