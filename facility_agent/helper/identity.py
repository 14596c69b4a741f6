"""As whom: which accounts may be, and becoming one for good."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facility_agent.adapters.accounts.nss_calls import look_up
from facility_agent.helper.config import Config
from facility_agent.helper.messages import Refused

PR_SET_NO_NEW_PRIVS = 38
NOBODIES = frozenset({65534, 65535})


@dataclass(frozen=True, slots=True)
class Account:
    """Who it is to be. `groups` are all of them, the primary one too."""

    username: str
    uid: int
    gid: int
    groups: frozenset[int]


def allowed(said: Mapping[str, Any], config: Config) -> Account:
    """The account of a message, when it may be. Raises Refused."""
    account = Account(said["username"], said["uid"], said["gid"], frozenset([*said["groups"], said["gid"]]))
    if account.uid < config.least_uid or account.uid in NOBODIES or account.uid == config.agent_uid:
        raise _no("this uid may not be used")
    low = {group for group in account.groups if group < config.least_gid} - config.also_groups
    if low or account.groups & (NOBODIES | {config.agent_gid}):
        raise _no("one of its groups may not be used")
    if config.nss:
        _as_the_system_knows_it(account)
    return account


def _as_the_system_knows_it(account: Account) -> None:
    try:
        known = look_up(account.username)
    except LookupError:
        raise _no("one of its groups has no name here") from None
    except OSError:
        raise Refused("BACKEND_UNAVAILABLE", "This system cannot tell who the account is at the moment.") from None
    if known is None:
        raise _no("this system does not know it")
    if (known.uid, known.gid, frozenset(known.groups)) != (account.uid, account.gid, account.groups):
        raise _no("this system knows it with another uid, gid or other groups")


def _no(why: str) -> Refused:
    return Refused("IDENTITY_REFUSED", f"The account is refused: {why}.")


def become(account: Account) -> None:
    """Be the account, now and for good, also after running a setuid program. Raises OSError when anything is left."""
    os.setgroups(sorted(account.groups))
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    no_more = ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    ids = (*os.getresuid(), *os.getresgid()) == (account.uid,) * 3 + (account.gid,) * 3
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line
    )
    powers = any(int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"))
    if not no_more or not ids or powers or frozenset(os.getgroups()) != account.groups:
        raise OSError("something of root was left")
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise OSError("it could become root again")
