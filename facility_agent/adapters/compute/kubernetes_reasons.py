"""Why a pod waits or has ended: one stable code and one sentence each. Pure.

Sources: container statuses, pod conditions and `status.reason` as the API reference (core/v1) and kubelet have them, and
the warnings among a pod's events. What is written by others (the scheduler's sentence) is cleaned first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from facility_agent.adapters.compute.endings import ENDINGS
from facility_agent.adapters.compute.kubernetes_identity import GUARD_REFUSED, GUARD_SAYS
from facility_agent.adapters.compute.kubernetes_task import FAILED, SAYS
from facility_agent.ports.compute import Observation, RunState

SENTENCES: Mapping[str, str] = {
    **ENDINGS,
    "IMAGE_NOT_FOUND": "The environment's image could not be fetched; the facility's operators have to look at it.",
    "IMAGE_NAME_INVALID": "The environment's image has a name that is none; the facility's operators have to mend it.",
    "IMAGE_GRANTS_GROUP": "The environment's image would change the groups of your account, so it was not started.",
    "UNSCHEDULABLE": "No node of the facility's cluster can take it at the moment; it waits.",
    "MOUNT_FAILED": "A folder could not be mounted at the facility's cluster; its operators can see which.",
    "CONFIG_FAILED": "The facility's cluster could not set up its container; its operators can see why.",
    "RESULTS_FAILED": "The folder for its results could not be made; your account may not write there, or something lies there already.",
    "PROGRAM_NOT_STARTED": "The environment's program could not be started; the facility's operators can see why.",
    "NETWORK_FAILED": "The facility's cluster could not set up its network; its operators can see why.",
    "OUT_OF_STORAGE": "It wrote more to its own folder than its size has; keep large results in your proposal or home.",
    "EVICTED": "The facility's cluster needed the room and ended it; start it again.",
    "NODE_REFUSED": "The machine that was to run it refused it; start it again.",
    "LIFETIME": "It reached its end.",
    "REMOVED": "It was removed at the facility's cluster.",
}
"""Every code that this adapter gives of its own, with its sentence."""

_WAITS = {
    "ErrImagePull": "IMAGE_NOT_FOUND",
    "ImagePullBackOff": "IMAGE_NOT_FOUND",
    "ErrImageNeverPull": "IMAGE_NOT_FOUND",
    "RegistryUnavailable": "IMAGE_NOT_FOUND",
    "ImageInspectError": "IMAGE_NOT_FOUND",
    "InvalidImageName": "IMAGE_NAME_INVALID",
    "CreateContainerConfigError": "CONFIG_FAILED",
    "CreateContainerError": "CONFIG_FAILED",
    "RunContainerError": "PROGRAM_NOT_STARTED",
}
_AT_ONCE = {"ErrImageNeverPull", "InvalidImageName", "RunContainerError"}
_ENDS = {
    "OOMKilled": "OUT_OF_MEMORY",
    "ContainerCannotRun": "PROGRAM_NOT_STARTED",
    "StartError": "PROGRAM_NOT_STARTED",
}
_POD_ENDS = {
    "Evicted": "EVICTED",
    "DeadlineExceeded": "LIFETIME",
    "NodeLost": "NODE_LOST",
    "NodeShutdown": "NODE_LOST",
    "Terminated": "NODE_LOST",
    "Shutdown": "NODE_LOST",
    "Preempting": "PREEMPTED",
    "Preempted": "PREEMPTED",
}
_DISRUPTED = {
    "PreemptionByScheduler": "PREEMPTED",
    "DeletionByTaintManager": "NODE_LOST",
    "DeletionByPodGC": "NODE_LOST",
    "EvictionByEvictionAPI": "EVICTED",
    "TerminationByKubelet": "EVICTED",
}
_WARNED = {
    "FailedMount": "MOUNT_FAILED",
    "FailedAttachVolume": "MOUNT_FAILED",
    "FailedMapVolume": "MOUNT_FAILED",
    "FailedCreatePodSandBox": "NETWORK_FAILED",
}
_COUNTED = re.compile(r"\b\d{1,6}/\d{1,6} nodes are available")
_CAUSES = (
    (re.compile(r"[Ii]nsufficient cpu"), "too few free CPUs"),
    (re.compile(r"[Ii]nsufficient memory"), "too little free memory"),
    (re.compile(r"[Ii]nsufficient ephemeral-storage"), "too little free storage"),
    (re.compile(r"[Ii]nsufficient \S*gpu"), "too few free GPUs"),
    (re.compile(r"[Tt]oo many pods"), "too many workspaces on a node"),
    (re.compile(r"taint"), "nodes that are kept for others"),
    (re.compile(r"didn't match|node selector|affinity"), "no node of the right kind"),
    (re.compile(r"unschedulable|not ready"), "nodes that are closed at the moment"),
    (re.compile(r"[Pp]ersistent[Vv]olume|volume"), "a volume that is not there"),
)


NONE: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Judged:
    """What a pod says. `failing` names what goes wrong while it still tries; `at_once` that trying on is of no use.

    `for_s`: for how long the cluster itself has said so, when it says that.
    """

    seen: Observation
    failing: str = ""
    at_once: bool = False
    for_s: float | None = None


def said(code: str, state: RunState = RunState.GONE, exit_code: int | None = None) -> Observation:
    """An observation with a code's sentence."""
    return Observation(state, code, SENTENCES[code], exit_code)


def judge(pod: Mapping[str, Any], warnings: Mapping[str, float] = NONE) -> Judged:
    """One look at a pod as the API gives it. RUNNING here means that its program runs; whether it answers is asked elsewhere.

    `warnings` are as of `warnings_of`.

    Raises KeyError, TypeError, ValueError, AttributeError for what is no pod.
    """
    status = pod.get("status") or {}
    phase = status.get("phase") or "Pending"
    if _is_cut_off(status, phase):
        return Judged(Observation(RunState.UNKNOWN, "NODE_LOST", "The machine that it runs on does not answer."))
    if phase in ("Succeeded", "Failed"):
        return Judged(_unless_removed(pod, _ended(status, phase)))
    if phase == "Running":
        running = _running(status)
        return Judged(_unless_removed(pod, running.seen), running.failing, running.at_once)
    if phase == "Pending":
        return _pending(status, warnings)
    raise ValueError("no phase that is known")


def warnings_of(events: Iterable[Mapping[str, Any]], uid: str) -> dict[str, float]:
    """A pod's warnings: reason → seconds from the first time to the last, by the clock of who warned.

    The kubelet does not take a warning back, so one alone does not tell that something still fails; one that comes again does.
    """
    times: dict[str, list[float]] = {}
    for event in events:
        if (event.get("involvedObject") or {}).get("uid") == uid:
            times.setdefault(str(event.get("reason", "")), []).extend(_times(event))
    return {reason: max(at) - min(at) if at else 0.0 for reason, at in times.items()}


def _times(event: Mapping[str, Any]) -> Iterator[float]:
    """When it was seen (core/v1 Event: by seconds, or with events.k8s.io's own time and series)."""
    series = event.get("series") or {}
    for said_at in (
        event.get("firstTimestamp"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        series.get("lastObservedTime"),
    ):
        with suppress(ValueError, OverflowError):
            if said_at:
                yield datetime.fromisoformat(str(said_at)).timestamp()


def removed(pod: Mapping[str, Any]) -> Observation:
    """Why a pod that is not in the cluster any more ended, from the last that was seen of it."""
    last = judge(pod).seen
    if last.state is RunState.GONE:
        return last
    status = pod.get("status") or {}
    code = _disruption(status) or _POD_ENDS.get(str(status.get("reason")))
    if code is None and _is_cut_off(status, str(status.get("phase"))):
        code = "NODE_LOST"
    return said(code or "REMOVED")


def scheduler_says(message: str) -> str:
    """The scheduler's sentence in words for people: its count of nodes and the causes that are known, nothing else of it.

    Taints and labels are names of the site; they do not leave it.
    """
    counted = _COUNTED.search(message[:2000])
    bare = re.sub(r"\{[^}]*\}", "", message[:2000])
    causes = [words for pattern, words in _CAUSES if pattern.search(bare)]
    start = SENTENCES["UNSCHEDULABLE"]
    if not causes:
        return start
    nodes = counted[0].split(" ")[0].replace("/", " of ") if counted else ""
    which = f" ({nodes} nodes have room)" if nodes else ""
    return f"{start[:-1]}{which}: {', '.join(causes)}."


def _unless_removed(pod: Mapping[str, Any], seen: Observation) -> Observation:
    """A program's end is not its own when somebody has deleted its pod.

    Its node may not tell an exit code then: it lets a pod fail that was deleted before it told that its program runs.
    """
    ended_itself = seen.reason in ("", "KILLED", "EXITED")
    if seen.state is RunState.GONE and ended_itself and pod["metadata"].get("deletionTimestamp"):
        return said(_disruption(pod["status"]) or "REMOVED")
    return seen


def _pending(status: Mapping[str, Any], warnings: Mapping[str, float]) -> Judged:
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") != "True":
        if scheduled.get("reason") == "Unschedulable":
            sentence = scheduler_says(str(scheduled.get("message", "")))
            return Judged(Observation(RunState.QUEUED, "UNSCHEDULABLE", sentence))
        return Judged(Observation(RunState.QUEUED))
    for each in _containers(status):
        reason = str((each.get("state", {}).get("waiting") or {}).get("reason", ""))
        if reason in _WAITS:
            code = _WAITS[reason]
            return Judged(said(code, RunState.STARTING), code, reason in _AT_ONCE)
    for reason in sorted(warnings) if not _is_set_up(status) else ():
        if reason in _WARNED and warnings[reason] > 0:  # once is no more than a stumble: the kubelet tries again
            return Judged(said(_WARNED[reason], RunState.STARTING), _WARNED[reason], for_s=warnings[reason])
    return Judged(Observation(RunState.STARTING))


def _is_set_up(status: Mapping[str, Any]) -> bool:
    """Whether its folders are mounted and its network is there: then warnings about them are of the past."""
    begun = any({"running", "terminated"} & set(each.get("state") or ()) for each in _containers(status))
    return begun or _condition(status, "PodReadyToStartContainers").get("status") == "True"


def _running(status: Mapping[str, Any]) -> Judged:
    for each in status.get("containerStatuses") or ():
        ended = each.get("state", {}).get("terminated")
        if ended:
            return Judged(_terminated(ended))  # the pod's phase follows in a moment
        reason = str((each.get("state", {}).get("waiting") or {}).get("reason", ""))
        if reason in _WAITS:
            return Judged(said(_WAITS[reason], RunState.STARTING), _WAITS[reason], reason in _AT_ONCE)
    return Judged(Observation(RunState.RUNNING))


def _ended(status: Mapping[str, Any], phase: str) -> Observation:
    reason, message = str(status.get("reason", "")), str(status.get("message", ""))
    if reason == "Evicted" and re.search(r"ephemeral|local storage|emptydir", message, re.IGNORECASE):
        return said("OUT_OF_STORAGE")
    code = _POD_ENDS.get(reason) or _disruption(status)
    if code is not None:
        return said(code)
    if reason in ("NodeAffinity", "OutOfcpu", "OutOfmemory", "OutOfpods", "UnexpectedAdmissionError"):
        return said("NODE_REFUSED")
    for each in _containers(status):
        ended = each.get("state", {}).get("terminated")
        if ended and (phase == "Succeeded" or ended.get("exitCode") != 0):
            return _terminated(ended)
    return (
        said("EXITED")
        if phase == "Failed"
        else Observation(RunState.GONE, message="It ended by itself.", exit_code=0)
    )


def _terminated(ended: Mapping[str, Any]) -> Observation:
    code, reason = int(ended["exitCode"]), str(ended.get("reason", ""))
    if reason in _ENDS:
        return said(_ENDS[reason], exit_code=code)
    if code == 0:
        return Observation(RunState.GONE, message="It ended by itself.", exit_code=0)
    if code == GUARD_REFUSED and str(ended.get("message", "")).startswith(GUARD_SAYS):
        return said("IMAGE_GRANTS_GROUP", exit_code=code)
    if code == FAILED and str(ended.get("message", "")).startswith(SAYS):
        return said("RESULTS_FAILED", exit_code=code)
    if code in (126, 127) or (code == 128 and reason == "Error"):
        return said("PROGRAM_NOT_STARTED", exit_code=code)
    if code in (137, 143):  # 128 + SIGKILL or SIGTERM
        return said("KILLED", exit_code=code)
    return said("EXITED", exit_code=code)


def _containers(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found = [each for each in status.get("conditions") or () if each.get("type") == kind]
    return found[0] if found else {}


def _disruption(status: Mapping[str, Any]) -> str | None:
    target = _condition(status, "DisruptionTarget")
    return _DISRUPTED.get(str(target.get("reason"))) if target.get("status") == "True" else None


def _is_cut_off(status: Mapping[str, Any], phase: str) -> bool:
    """Whether its node has not been heard of: the node's controller then turns Ready to False or Unknown, and nobody knows."""
    ready = _condition(status, "Ready")
    unheard = ready.get("status") == "Unknown" or ready.get("reason") == "NodeStatusUnknown"
    return phase == "Unknown" or (phase == "Running" and unheard)
