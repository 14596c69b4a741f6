"""slurmrestd's JSON, of the versions of its API that are known here. Pure; also the helper's, so the standard library only.

v0.0.38 (Slurm 22.05 to 23.11) was met; v0.0.40 to v0.0.43 (23.11 to 26.05) are written from Slurm's `data_parser`, and were not.
v0.0.39 is left out: who has it has v0.0.38 or v0.0.40 too. From v0.0.40 on, numbers may be `{"set", "infinite", "number"}` and
states are lists of flags.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

VERSIONS = ("v0.0.43", "v0.0.42", "v0.0.41", "v0.0.40", "v0.0.38")
"""Newest first: the first that the server does not answer with a 404 without JSON is spoken."""
OLD = "v0.0.38"
NO_SUCH_JOB, NOTHING_FOUND, UNREADABLE = 2017, 9003, 9001
"""ESLURM_INVALID_JOB_ID, ESLURM_REST_EMPTY_RESULT, ESLURM_REST_FAIL_PARSING of Slurm's `slurm_errno.h`."""
ENDS = frozenset({
    "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY",
    "REVOKED",
})  # fmt: skip
"""After these nothing of a job runs any more. COMPLETING is none of them: its processes may still be there."""
_LIVING = ("COMPLETING", "CONFIGURING", "STOPPED", "REVOKED")
"""Flags beside a state that say more than it."""


def checked(address: str) -> str:
    """An address of slurmrestd: `unix:/path` or `https://host[:port]`. Raises ValueError for any other.

    Not `http://`, not even on this machine: there, whoever listens first on a port gets people's tokens.
    """
    if address.startswith("unix:/"):
        return address
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("write unix:/path of a socket, or https://host:port, without a path")
    if parts.port == 0 or parts.fragment or not re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc):
        raise ValueError("write a host and a port, and nothing more")
    return address.rstrip("/")


def submission(version: str, order: Mapping[str, Any], script: str) -> dict[str, Any]:
    """The body of `job/submit`.

    `order`: name, folder, cpus, memory (bytes), minutes, variables, and Slurm's words (empty: not asked): partition,
    account, qos, reservation, constraint, gres.
    """
    job: dict[str, Any] = {
        "name": order["name"], "current_working_directory": order["folder"], "standard_input": "/dev/null",
        "standard_output": f"{order['folder']}/log", "tasks": 1, "cpus_per_task": order["cpus"],
        "memory_per_node": order["memory"] // 2**20, "time_limit": order["minutes"],
    }  # fmt: skip
    variables = {**order["variables"], "SLURM_UMASK": "0077"}  # sbatch would say its own
    words = {name: order[name] for name in ("partition", "account", "qos", "reservation") if order[name]}
    job |= words | ({"constraints": order["constraint"]} if order["constraint"] else {})
    if version == OLD:
        # There `requeue: false` is taken and does nothing; `no_requeue` is in no document, and works (22.05.8).
        job |= {
            "no_requeue": True,
            "nodes": [1, 1],
            "open_mode": "append",
            "environment": variables,
        }
        job |= {"gres": order["gres"]} if order["gres"] else {}
        return {"job": job, "script": script}
    job |= {"requeue": False, "minimum_nodes": 1, "maximum_nodes": 1, "open_mode": ["APPEND"], "script": script}
    job["environment"] = [f"{name}={value}" for name, value in variables.items()]
    if order["gres"]:
        job["tres_per_node"] = ",".join(f"gres/{each}" for each in order["gres"].split(","))
    return {"job": job}


def faults(found: object) -> list[tuple[int, str]]:
    """(number, text) of each of an answer's `errors`; its status says less. Raises ValueError when they are no list of errors."""
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ValueError("it has no list of errors")
    return [
        (_fault(each), " ".join(str(each.get(key) or "") for key in ("error", "description"))) for each in found
    ]


def _fault(error: Mapping[str, Any]) -> int:
    known = [error[key] for key in ("error_number", "error_code", "errno") if type(error.get(key)) is int]
    return known[0] if known else -1


def refuses(faults: list[tuple[int, str]]) -> bool:
    """Whether Slurm has said no for sure: errors of its own rules or of reading, not of talking to each other."""
    return bool(faults) and all(2000 <= number < 3000 or 9000 <= number < 10_000 for number, _ in faults)


def number(value: Any) -> int | None:
    """A number in either form, None for one that is not set."""
    if isinstance(value, dict):
        value = value.get("number") if value.get("set") and not value.get("infinite") else None
    return value if type(value) is int else None


def state(value: Any) -> str:
    """A job's state as `squeue` has it; empty when there is none."""
    if isinstance(value, str):
        return value
    known = [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
    return next((word for word in _LIVING if word in known), known[0] if known else "")


def exit_code(value: Any) -> int | None:
    """Of a status as `wait` has it, or of `{"return_code", "signal"}`, as a shell has it."""
    if type(value) is int:
        return 128 + (value & 0x7F) if value & 0x7F else value >> 8 & 0xFF
    if not isinstance(value, dict):
        return None
    signal = value.get("signal")
    killed = number(signal.get("id", signal.get("signal_id"))) if isinstance(signal, dict) else None
    return 128 + killed if killed else number(value.get("return_code"))


def own(answer: Mapping[str, Any], name: str, uid: int) -> list[int]:
    """The jobs of exactly this name and account that have not ended. Raises ValueError."""
    found = answer.get("jobs")
    if not isinstance(found, list):
        raise ValueError("it has no list of jobs")  # noqa: TRY004 (as for all that is wrong in it)
    return [
        each["job_id"] for each in found
        if isinstance(each, dict) and each.get("name") == name and each.get("user_id") == uid and type(each.get("job_id")) is int
        and state(each.get("job_state")) not in ENDS
    ]  # fmt: skip
