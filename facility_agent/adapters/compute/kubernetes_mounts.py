"""Site rules → volumes of a pod. Pure: nothing is read or written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute.kubernetes_settings import VolumeTable
from facility_agent.ports.compute import Mount
from shared.errors import BackendError, InvalidRequest

WORK = "/workspace"
"""The workspace's own folder in its container: `{work}`."""
_NAME = re.compile(r"[^\x00-\x1f\x7f/:]{1,200}")

Volume = tuple[dict[str, Any], dict[str, Any]]
"""A pod's volume, and its mount in the container."""


def rule_for(rules: Sequence[VolumeTable], folder: Path) -> VolumeTable | None:
    """The rule with the longest folder at or above `folder`."""
    fitting = [rule for rule in rules if folder.is_relative_to(rule.folder)]
    return max(fitting, key=lambda rule: len(rule.folder.parts), default=None)


def shown(rules: Sequence[VolumeTable], mounts: Sequence[Mount]) -> list[Volume]:
    """Each folder at its place below `WORK`.

    Raises InvalidRequest for a name that is none, BackendError for a folder without a rule.
    """
    made = []
    for number, mount in enumerate(mounts):
        for name in (mount.name, *((mount.within,) if mount.within else ())):
            if not _NAME.fullmatch(name) or name in (".", ".."):
                raise InvalidRequest("A proposal's name cannot be the name of a folder.")
        rule = rule_for(rules, mount.folder)
        if rule is None or not _plain(mount.folder):
            raise BackendError("The facility has not set up how this proposal's data get into its cluster.")
        made.append(mounted(f"shown-{number}", rule, mount.folder, f"{WORK}/{mount.place}", mount.read_only))
    return made


def home(rules: Sequence[VolumeTable], folder: Path) -> Volume | None:
    """The account's home in its own place, None when the site has no rule for it."""
    rule = rule_for(rules, folder)
    if rule is None or not _plain(folder) or ":" in str(folder):
        return None
    return mounted("home", rule, folder, str(folder), read_only=False)


def mounted(name: str, rule: VolumeTable, folder: Path, at: str, read_only: bool) -> Volume:
    """A volume by rule. Everything of `folder` that the site did not write stands in the volume's own path or subPath."""
    below = folder.relative_to(rule.folder)
    place = str((rule.path or rule.folder) / below)
    mount: dict[str, Any] = {"name": name, "mountPath": at, "readOnly": read_only}
    source: dict[str, Any]
    if rule.kind == "host_path":
        source = {"hostPath": {"path": place, "type": "Directory"}}
    elif rule.kind == "nfs":
        source = {"nfs": {"server": rule.server, "path": place, "readOnly": read_only}}
    else:
        source = {"persistentVolumeClaim": {"claimName": rule.claim, "readOnly": read_only}}
        if below.parts:
            mount["subPath"] = str(below)
    return {"name": name, **source}, mount


def _plain(folder: Path) -> bool:
    return folder.is_absolute() and ".." not in folder.parts and not re.search(r"[\x00-\x1f\x7f]", str(folder))
