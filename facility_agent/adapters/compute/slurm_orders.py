"""What the helper is asked for a workspace, what the agent keeps of it, and what may be believed of what it handed back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Mapping
from typing import Any

from facility_agent.adapters.compute.slurm_queue import Job, Wanted
from facility_agent.adapters.compute.slurm_settings import SlurmSettings, Software
from facility_agent.ports.compute import StartSpec, filled
from facility_agent.ports.directory import Account

KEY = "Parasol-Door"


def door_key(secret: str) -> str:
    """What the job's door is opened by: of the secret, but not the secret."""
    return hashlib.sha256(b"parasol door " + secret.encode()).hexdigest()


def known_of(spec: StartSpec, account: Account) -> dict[str, Any]:
    """What the agent keeps."""
    headers = [[key, filled(value, {"secret": spec.secret})] for key, value in spec.headers]
    return {
        "uid": account.uid, "username": account.username, "asked": time.time(), "task": bool(spec.task),
        "headers": [*headers, [KEY, door_key(spec.secret)]],
    }  # fmt: skip


def wanted_of(known: Mapping[str, Any]) -> Wanted:
    """What is looked for at the scheduler."""
    return Wanted(known["uid"], known["username"], known["asked"])


def order_of(spec: StartSpec, account: Account, settings: SlurmSettings) -> dict[str, Any]:
    """The fields of the helper's `slurm_submit`, without the id. The program fills the placeholders in on its node."""
    software = settings.environments.get(spec.environment, Software())
    return {
        "username": account.username, "uid": account.uid, "gid": account.gid, "groups": list(account.groups),
        "task": dataclasses.asdict(spec.task) if spec.task else None, "home": str(account.home), "command": list(spec.command), "variables": dict(spec.variables),
        "mounts": [[mount.place, str(mount.folder), mount.read_only] for mount in spec.mounts],
        "cpus": spec.flavour.cpus, "memory": spec.flavour.memory, "minutes": math.ceil(spec.lifetime_s / 60),
        "readable": [*map(str, settings.readable)], "writable": [*map(str, settings.writable)],
        "ports": list(settings.ports), "listen": settings.listen, "door": door_key(spec.secret),
        "secret": spec.secret, "modules": list(software.modules), "image": str(software.image or ""),
        **settings.asked(spec.flavour.id, spec.flavour.gpus),
    }  # fmt: skip


def address_of(found: Mapping[str, Any], job: Job, settings: SlurmSettings) -> tuple[str, int] | None:
    """Where it listens: on Slurm's own machine for it; None before it says so. Arguments and errors as of `begun`."""
    said = begun(found, job)
    if said is None:
        return None
    port = said.get("port")
    if type(port) is not int or not settings.ports[0] <= port <= settings.ports[1]:
        raise ValueError("its port is outside the site's range")
    return settings.address.replace("{node}", job.host), port


def begun(found: Mapping[str, Any], job: Job) -> Mapping[str, Any] | None:
    """What the job's script says once its program has been started, None before.

    `found` is the helper's answer about the file. Raises ValueError for a file that is not believed.
    """
    if found["state"] == "none" or not job.host:
        return None
    if found["state"] != "there":
        raise ValueError(str(found.get("why")))
    try:
        said = json.loads(found["text"])
    except RecursionError:
        raise ValueError("it is no JSON object") from None
    if not isinstance(said, dict) or said.get("host") != job.host or said.get("job") != str(job.number):
        raise ValueError("it names another host or job than Slurm")
    return said
