"""Listens on a Unix socket for the agent alone. Each connection is one question, in a process of its own for at most 20 s."""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from facility_agent.adapters.compute.supervisor import is_alive, is_locked, read_record
from facility_agent.helper import messages, slurm
from facility_agent.helper.config import Config, Misconfigured, load
from facility_agent.helper.identity import Account, allowed, become
from facility_agent.helper.keeper import PR_SET_CHILD_SUBREAPER, keep
from facility_agent.helper.messages import Refused
from facility_agent.peers import peer_uid

AT_ONCE, WITHIN_S, STOP_WITHIN_S = 32, 20, 5.0


def log(text: str) -> None:
    """For the operator; never a variable, an argument or a secret."""
    sys.stderr.write(f"{text}\n")


def describe(config: Config, said: dict[str, Any]) -> object:
    """What the agent's own check compares."""
    in_jobs = sorted(config.slurm.programs) if config.slurm else None
    return {"folder": str(config.folder), "programs": sorted(config.programs), "nss": config.nss, "slurm": in_jobs}


def start(config: Config, said: dict[str, Any]) -> object:
    """Start it once ever; the same id again finds what was started."""
    variables = config.programs.get(said["command"][0])
    if variables is None or not set(said["variables"]) <= variables:
        raise Refused(
            "INVALID_REQUEST", "This program, or one of its variables, is not in the helper's configuration."
        )
    account, record = allowed(said, config), config.state / said["id"]
    earlier = read_record(record.with_suffix(".json"))
    if earlier is not None and earlier["uid"] != account.uid:
        raise Refused("CONFLICT", "This workspace belongs to another account.")
    log(
        f"{said['id']}: start {said['command'][0]} as {account.username}, {account.uid}:{account.gid} {sorted(account.groups)}"
    )
    hear, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.closerange(3, hear)  # the connection and the listening socket
        os.close(hear)
        try:
            keep(said, account, config, os.fdopen(tell, "w"))
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(hear) as told:
        answer = told.read()
    if answer != "\n":
        raise Refused("BACKEND_FAILED", answer.strip() or "The workspace could not be started.")
    return {}


def look(config: Config, said: dict[str, Any]) -> object:
    """What is known of each."""
    return {name: _state(config, name) for name in said["ids"]}


def _state(config: Config, name: str) -> dict[str, Any]:
    record = config.state / name
    running = read_record(record.with_suffix(".run"))
    there = is_locked(record) if running is None else is_alive(running)
    ended = read_record(record.with_suffix(".exit"))  # last: a keeper writes it before it goes
    if ended is not None:
        return {"state": "ended", **ended}
    if running is None:
        return {"state": "starts" if there else "none"}
    return {"state": "runs" if there else "lost"}


def stop(config: Config, said: dict[str, Any]) -> object:
    """Ask for the end and wait for it, for a while; its state then."""
    end, told = time.monotonic() + STOP_WITHIN_S, False
    while (state := _state(config, said["id"]))["state"] in ("runs", "starts") and time.monotonic() < end:
        running = read_record((config.state / said["id"]).with_suffix(".run"))
        if running is not None and not told:
            with suppress(ProcessLookupError):
                process = os.pidfd_open(running["pid"])
                # The number may be another process's by now; the descriptor stays this one's.
                if is_alive(running):
                    signal.pidfd_send_signal(process, signal.SIGTERM)
                told = True
        time.sleep(0.02)
    return state


def share(config: Config, said: dict[str, Any]) -> object:
    """Let the agent's group connect to the workspace's socket, by the account's own right alone."""
    record = read_record((config.state / said["id"]).with_suffix(".json"))
    if record is None:
        raise Refused("NOT_FOUND", "There is no such workspace.")
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            become(Account(record["username"], record["uid"], record["gid"], frozenset(record["groups"])))
            os.chdir(config.folder / said["id"] / "run")
            if stat.S_ISSOCK(os.lstat("s").st_mode):
                Path("s").chmod(0o660)
                os._exit(0)
        os._exit(1)
    return {"shared": os.waitpid(child, 0)[1] == 0}


VERBS: dict[str, Callable[[Config, dict[str, Any]], object]] = {
    "describe": describe, "start": start, "look": look, "stop": stop, "share": share,
    "slurm_submit": slurm.submit, "slurm_cancel": slurm.cancel, "slurm_read": slurm.read,
}  # fmt: skip


def converse(connection: socket.socket, config: Config) -> NoReturn:
    """One question, one answer."""
    signal.alarm(WITHIN_S)
    try:
        try:
            verb, said = messages.parse(messages.receive(connection))
            answer: object = {"ok": VERBS[verb](config, said)}
        except Refused as refused:
            log(f"refused: {refused.sentence}")
            answer = {"reason": refused.reason, "error": refused.sentence}
        messages.send(connection, answer)
    except Exception as error:  # noqa: BLE001 (the next question is asked of another process)
        log(f"failed: {error!r}")
    finally:
        os._exit(0)


def serve(listener: socket.socket, config: Config) -> NoReturn:
    """For ever."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # keepers come here when their starter has ended
    conversing: set[int] = set()
    listener.settimeout(0.5)
    while True:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, 0 if len(conversing) >= AT_ONCE else os.WNOHANG)[0]) != 0:
                conversing.discard(ended)
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        with connection:
            if (uid := peer_uid(connection)) != config.agent_uid:
                log(f"refused: a process of uid {uid} is not the agent")
                with suppress(OSError):
                    messages.send(
                        connection, {"reason": "ACCESS_DENIED", "error": "The helper answers the agent alone."}
                    )
                continue
            if (pid := os.fork()) == 0:
                connection.settimeout(None)
                converse(connection, config)
            conversing.add(pid)


def listen(config: Config) -> socket.socket:
    """The socket, for the agent's group. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX)
    config.socket.unlink(missing_ok=True)
    os.umask(0o117)
    listener.bind(str(config.socket))
    os.umask(0o077)
    os.chown(config.socket, 0, config.agent_gid)
    listener.listen(64)
    return listener


def main() -> None:
    """Entry point `facility-helper`. A mistake in the configuration is one sentence and exit code 2."""
    parser = argparse.ArgumentParser(prog="facility-helper", description="Starts workspaces as people's accounts.")
    parser.add_argument("-c", "--config", type=Path, default=Path("/etc/parasol-helper.toml"))
    parser.add_argument("--check", action="store_true", help="read the configuration, and no more")
    arguments = parser.parse_args()
    try:
        if os.getuid() != 0:
            raise Misconfigured("The helper runs as root.")
        config = load(arguments.config)
        if arguments.check:
            return
        alone = (config.state / "helper.lock").open("w")
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        listener = listen(config)
    except BlockingIOError:
        sys.exit("Another helper runs on this state already.")
    except (Misconfigured, OSError) as error:
        log(str(error))
        sys.exit(2)
    serve(listener, config)


if __name__ == "__main__":
    main()
