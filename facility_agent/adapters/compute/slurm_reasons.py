"""What Slurm says, for people: a stable code and one sentence. Its words are those of Slurm 22.05 to 25.11.

Sources: `squeue(1)` (job state codes, job reason codes), https://slurm.schedmd.com/job_reason_codes.html, and `slurm_errno.c`
for what `sbatch` prints.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from facility_agent.adapters.compute.endings import ENDINGS
from facility_agent.adapters.compute.slurm_queue import CANNOT_MOUNT, HAS_RUN
from shared.errors import (
    BackendError,
    BackendUnavailable,
    FlavourTooLarge,
    IdentityRefused,
    ParasolError,
    QuotaExceeded,
)


@dataclass(frozen=True, slots=True)
class Said:
    """`never`: waiting does not help, the job would wait for ever."""

    code: str
    sentence: str
    never: bool = False


OWN_LIMIT = Said(
    "SCHEDULER_OWN_LIMIT",
    "You run as much as the scheduler allows you at once; it starts when something of yours ends.",
)
GROUP_LIMIT = Said(
    "SCHEDULER_GROUP_LIMIT",
    "Your group runs as much as the scheduler allows it at once; it starts when something of the group's ends.",
)
TOO_LARGE = Said(
    "SCHEDULER_TOO_LARGE", "No machine here is large enough for this size; choose a smaller one.", never=True
)
TOO_LONG = Said(
    "SCHEDULER_TOO_LONG", "The scheduler does not run anything for that long; choose a shorter time.", never=True
)
OVER_LIMIT = Said(
    "SCHEDULER_OVER_LIMIT", "This size is beyond what the scheduler allows you; choose a smaller one.", never=True
)
NOT_ALLOWED = Said(
    "SCHEDULER_NOT_ALLOWED", "The scheduler does not allow your account this; ask the facility.", never=True
)
HELD = Said("SCHEDULER_HELD", "It is held at the scheduler; the facility's operators can release it.")
NODES_AWAY = Said(
    "SCHEDULER_NODES_AWAY", "The machines it needs are down or reserved; it starts when they are back."
)
BUDGET = Said("SCHEDULER_BUDGET_SPENT", "The computing time of your group is used up; ask the facility for more.")
PARTITION_CLOSED = Said(
    "SCHEDULER_CLOSED", "The scheduler takes work but starts none at the moment; it starts when that is over."
)

WAITING: dict[str, Said] = {
    "None": Said("SCHEDULER_NEW", "The scheduler has just taken it."),
    "Priority": Said("SCHEDULER_PRIORITY", "Others are before you in the queue."),
    "Resources": Said("SCHEDULER_RESOURCES", "It is next, and waits until enough of the machines is free."),
    "Cleaning": Said("SCHEDULER_NEW", "The scheduler is cleaning up after an earlier try."),
    "BeginTime": Said("SCHEDULER_NEW", "The scheduler tries to start it again in a moment."),
    "Licenses": Said("SCHEDULER_LICENCES", "It waits for a software licence."),
    "Reservation": Said("SCHEDULER_RESERVATION", "It waits until its reservation begins."),
    "ReservationDeleted": Said("SCHEDULER_RESERVATION_GONE", "The reservation for it was deleted; ask the facility.", never=True),
    "InvalidAccount": NOT_ALLOWED, "InvalidQOS": NOT_ALLOWED, "AccountNotAllowed": NOT_ALLOWED, "QOSNotAllowed": NOT_ALLOWED,
    "AccountingPolicy": OVER_LIMIT,
    "BadConstraints": TOO_LARGE, "PartitionConfig": TOO_LARGE, "PartitionNodeLimit": TOO_LARGE,
    "PartitionTimeLimit": TOO_LONG,
    "PartitionDown": PARTITION_CLOSED, "PartitionInactive": PARTITION_CLOSED,
    "ReqNodeNotAvail": NODES_AWAY, "NodeDown": NODES_AWAY, "FrontEndDown": NODES_AWAY,
    "JobHeldUser": HELD, "JobHeldAdmin": HELD, "JobHoldMaxRequeue": HELD, "launch failed requeued held": HELD,
    "JobLaunchFailure": HELD, "QOSUsageThreshold": BUDGET,
}  # fmt: skip
"""By the word that `squeue` prints; whole families of limits are recognised by `_limit`."""


def _common(code: str) -> Said:
    return Said(code, ENDINGS[code])


WALLTIME = Said("TIME_IS_UP", "The time it was started for is over.")
ENDED: dict[str, Said] = {
    "OUT_OF_MEMORY": _common("OUT_OF_MEMORY"),
    "TIMEOUT": WALLTIME,
    "DEADLINE": Said("DEADLINE_PASSED", "The scheduler could not run it before its deadline."),
    "NODE_FAIL": _common("NODE_LOST"),
    "BOOT_FAIL": _common("NODE_LOST"),
    "PREEMPTED": _common("PREEMPTED"),
    "CANCELLED": Said("CANCELLED", "It was cancelled at the facility's scheduler."),
    "REVOKED": Said("CANCELLED", "It was cancelled at the facility's scheduler."),
}

REFUSED: tuple[tuple[str, type[ParasolError], str], ...] = (
    ("QOSMaxSubmitJobPerUser", QuotaExceeded, "You have as much at the scheduler as it allows you; stop something first."),
    ("AssocMaxSubmitJob", QuotaExceeded, "You have as much at the scheduler as it allows you; stop something first."),
    ("GrpSubmit", QuotaExceeded, "Your group has as much at the scheduler as it allows; wait until something ends."),
    ("job submit limit", QuotaExceeded, "The scheduler does not allow you this much; stop something first, or choose a smaller size."),
    ("MaxWall", FlavourTooLarge, TOO_LONG.sentence),
    ("time limit is invalid", FlavourTooLarge, TOO_LONG.sentence),
    ("time limit exceeds", FlavourTooLarge, TOO_LONG.sentence),
    ("node configuration is not available", FlavourTooLarge, TOO_LARGE.sentence),
    ("can not be satisfied", FlavourTooLarge, TOO_LARGE.sentence),
    ("More processors requested", FlavourTooLarge, TOO_LARGE.sentence),
    ("partition limit", FlavourTooLarge, TOO_LARGE.sentence),
    ("generic resource", FlavourTooLarge, "The scheduler has no such graphics processors; choose another size."),
    ("accounting/QOS policy", QuotaExceeded, OVER_LIMIT.sentence),
    ("account/partition combination", IdentityRefused, "Your account may not use the facility's scheduler; ask the facility."),
    ("Invalid user", IdentityRefused, "The facility's scheduler does not know your account."),
    ("group not permitted", IdentityRefused, "Your account may not use this part of the scheduler; ask the facility."),
    ("denied", IdentityRefused, "Your account may not use the facility's scheduler; ask the facility."),
    ("Invalid qos", BackendError, "The facility's scheduler does not let your account use the QOS it is set up with."),
    ("eservation", BackendError, "The facility's reservation is not valid at the moment, or not for your account."),
    ("feature specification", BackendError, "No machine of the facility's scheduler has the features it is set up with."),
    ("nvalid partition", BackendError, "The facility's scheduler does not have the partition it is set up with."),
    ("too many jobs", BackendUnavailable, "The facility's scheduler has too much to do at the moment."),
    ("Unable to contact", BackendUnavailable, "The facility's scheduler does not answer at the moment."),
    ("onnection", BackendUnavailable, "The facility's scheduler does not answer at the moment."),
    ("temporarily", BackendUnavailable, "The facility's scheduler does not answer at the moment."),
)  # fmt: skip
"""By what `sbatch` prints, the first that fits."""


@functools.lru_cache(maxsize=1000)
def waiting(reason: str) -> Said:
    """Why it waits, by squeue's reason; a word that is not known says just that it waits."""
    word = reason.split(",")[0].strip().strip("()")
    return WAITING.get(word) or _limit(word) or Said("SCHEDULER_WAITS", "It waits at the scheduler.")


def _limit(word: str) -> Said | None:
    """Limits are named QOS or Assoc, then Max or Grp or Min, of what, per what: some hundred of them."""
    if word == "AssociationJobLimit":
        return OWN_LIMIT
    found = re.fullmatch(r"(?:QOS|Assoc|)(Grp|Max|Min)(.+)", word)
    if not found:
        return None
    kind, rest = found[1], found[2]
    if "Wall" in rest:
        return BUDGET if kind == "Grp" else TOO_LONG
    if kind == "Min" or "PerJob" in rest or "PerNode" in rest:
        return OVER_LIMIT
    if "Minutes" in rest or "RunMin" in rest or "Billing" in rest:
        return BUDGET
    return GROUP_LIMIT if kind == "Grp" or "PerAccount" in rest else OWN_LIMIT


def refused(stderr: str) -> ParasolError:
    """What sbatch's refusal means; what it printed itself is for the operator's log alone."""
    for part, error, sentence in REFUSED:
        if part in stderr:
            return error(sentence)
    return BackendError("The facility's scheduler refused it; its operators can see why in their log.")


OWN: Mapping[int, Said] = {
    HAS_RUN: Said("CONFLICT", "It had already run once."),
    CANNOT_MOUNT: Said("MOUNT_FAILED", "The facility cannot mount a proposal read-only in this environment."),
}
"""What the exit codes of the job's own script mean."""


def ended(state: str, exit_code: int | None) -> Said:
    """Why it ended, by its state; a fault of its own otherwise."""
    found = ENDED.get(state)
    if found is not None:
        return found
    if state == "COMPLETED":
        return Said("", "It ended by itself.")
    if exit_code is not None and exit_code in OWN:
        return OWN[exit_code]
    if exit_code is not None and exit_code > 128:
        return _common("KILLED")
    return _common("EXITED")
