"""A task's beginning in its pod: the folder of its results, with what it is told and its log in it. Pure.

The same as `tasks.begin`, by the guard's busybox: images need not have a shell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facility_agent.adapters.compute.kubernetes_identity import PROGRAM, SECRET_FILE

LABEL = "parasol/task"
FACTS = "task.json"
FAILED = 87
"""The exit code when the folder cannot be made."""
SAYS = "parasol-task:"
"""How its word in the container's termination message begins."""
BEGIN = """\
box=$1; results=$2; told=$3; shift 3
refuse() { echo "@WORD@ results" > /dev/termination-log; echo "@WORD@ $results cannot be made" >&2; exit @CODE@; }
umask 077
"$box" mkdir "$results" || refuse
"$box" cat "$told" > "$results/task.json" || refuse
: > "$results/log.txt" || refuse
"$box" chmod g+rw "$results/task.json" "$results/log.txt" || refuse
"$box" chmod g+rwx "$results" || refuse
umask 007
exec "$@" >> "$results/log.txt" 2>&1 < /dev/null
""".replace("@WORD@", SAYS).replace("@CODE@", str(FAILED))
"""The folder is the account's alone until it is complete, so that nobody of its group puts a link into it; one that is there already is refused."""


def begun(command: list[str], results: str) -> list[str]:
    """`command` after that. It runs once: a pod is never started again."""
    told = f"{SECRET_FILE.rpartition('/')[0]}/{FACTS}"
    return [PROGRAM, "sh", "-c", BEGIN, "task", PROGRAM, results, told, *command]


def is_task(pod: Mapping[str, Any]) -> bool:
    """Whether this pod is one's, which listens nowhere."""
    return LABEL in (pod["metadata"].get("labels") or {})
