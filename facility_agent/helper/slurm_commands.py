"""Slurm by its commands, as the account. No shell, no text of others as an option."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import Any

from facility_agent.helper.config import Slurm

WITHIN_S = 15
VARIABLES = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
"""All that a command gets of an environment, and a job from its submission."""
OPTIONS = ("partition", "account", "qos", "reservation", "constraint", "gres")


def submit(slurm: Slurm, order: Mapping[str, Any], script: str) -> dict[str, Any]:
    """{"job": number}, {"refused": what sbatch said}, or nothing when it is not known. Raises OSError."""
    try:
        done = _run(slurm, options(slurm, order), script)
    except subprocess.TimeoutExpired:
        return {}
    if done.returncode == 0 and (job := re.fullmatch(r"(\d{1,10})(;.*)?\s*", done.stdout)):
        return {"job": int(job[1])}
    # Slurm may have taken what it did not answer in time.
    unsure = done.returncode == 0 or "timed out" in done.stderr
    return {} if unsure else {"refused": done.stderr[-2000:]}


def cancel(slurm: Slurm, name: str, username: str) -> dict[str, Any]:
    """End the account's jobs of this name. Raises OSError, TimeoutExpired."""
    words = [slurm.scancel, f"--name={name}", f"--user={username}"]
    return {"asked": _run(slurm, words, "").returncode == 0}


def token(slurm: Slurm, seconds: int) -> str:
    """A token of whoever runs this, which needs no privilege. Raises OSError, ValueError."""
    try:
        done = _run(slurm, [slurm.scontrol, "token", f"lifespan={seconds}"], "")
    except subprocess.TimeoutExpired:
        raise TimeoutError("scontrol did not answer in time") from None
    found = re.fullmatch(r"SLURM_JWT=([A-Za-z0-9_.-]{1,8192})\s*", done.stdout)
    if not found:
        raise ValueError(f"scontrol has given no token: {done.stderr[-200:]}")
    return found[1]


def options(slurm: Slurm, order: Mapping[str, Any]) -> list[str]:
    """The command sbatch and its arguments. Nothing in them is a person's, a secret, or an option that the agent chose.

    `--export=ALL` is the variables of `_run`; with NIL or NONE Slurm would run the account's login shell first.
    """
    out = [
        slurm.sbatch, "--parsable", f"--job-name={order['name']}", "--no-requeue", "--export=ALL", "--propagate=NONE",
        "--input=/dev/null", f"--chdir={order['folder']}", f"--output={order['folder']}/log", "--open-mode=append",
        "--nodes=1", "--ntasks=1", f"--cpus-per-task={order['cpus']}", f"--mem={order['memory'] // 2**20}M",
        f"--time={order['minutes']}",
    ]  # fmt: skip
    return out + [f"--{name}={order[name]}" for name in OPTIONS if order[name]]


def _run(slurm: Slurm, words: list[str], text: str) -> subprocess.CompletedProcess[str]:
    """Raises OSError, TimeoutExpired."""
    environment = VARIABLES | ({"SLURM_CONF": slurm.conf} if slurm.conf else {})
    return subprocess.run(
        words, input=text, env=environment, capture_output=True, text=True, errors="replace", timeout=WITHIN_S,
        cwd="/", check=False,
    )  # fmt: skip
