"""Who a workspace is within its pod: security context, password and group file, and the guard. Pure.

The guard: a container runtime gives a process every group that the *image's* `/etc/group` names for it, unless the pod
says `supplementalGroupsPolicy: Strict` and the node knows that (KEP-3619, Kubernetes 1.33). Elsewhere a static busybox
of the site's own is the first program: it reads its own groups from the kernel and refuses to go on with one too many.
"""

from __future__ import annotations

import re
from typing import Any

from facility_agent.ports.directory import Account
from shared.errors import IdentityRefused

LARGEST_ID = 2**31 - 1
"""Of uids and gids in Kubernetes: int64 that must fit 31 bits."""
GUARD_REFUSED = 86
"""The guard's exit code when the process has a group too many or too few."""
PROGRAM = "/run/parasol/guard/busybox"
SECRET_FILE = "/run/parasol/secret/secret"  # noqa: S105 (where it lies, not what it is)
_USERNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}\$?")
_SYSTEM = (("root", 0, "/root"), ("daemon", 1, "/"), ("nobody", 65_534, "/"))

GUARD_SAYS = "parasol-guard:"
"""How its word in the container's termination message begins; the cause follows."""
GUARD = """\
allowed=$1; uid=$2; shift 2
seen=
while read -r key rest; do
  case $key in
    Uid:) for each in $rest; do [ "$each" = "$uid" ] || refused=uid; done ;;
    Gid:) for gid in $rest; do case " $allowed " in *" $gid "*) ;; *) refused=gid ;; esac; done ;;
    Groups:) seen=" $rest " ;;
    CapEff:|CapPrm:|CapInh:) [ "$rest" = 0000000000000000 ] || refused=capability ;;
    NoNewPrivs:) [ "$rest" = 1 ] || refused=privileges ;;
  esac
done < /proc/self/status
for gid in $seen; do case " $allowed " in *" $gid "*) ;; *) refused=group ;; esac; done
for gid in $allowed; do case "$seen" in *" $gid "*) ;; *) refused=missing ;; esac; done
if [ -n "$refused" ]; then
  echo "@WORD@ $refused" > /dev/termination-log; echo "@WORD@ $refused" >&2
  exit @CODE@
fi
exec "$@"
""".replace("@WORD@", GUARD_SAYS).replace("@CODE@", str(GUARD_REFUSED))


def check(account: Account) -> None:
    """Raises IdentityRefused for what a pod cannot be: the directory's own checks, and ids and a name that fit."""
    ids = (account.uid, account.gid, *account.groups)
    if any(number <= 0 or number > LARGEST_ID for number in ids):
        raise IdentityRefused("The facility's account has no usable numeric identity.")
    if not _USERNAME.fullmatch(account.username) or account.username in {name for name, _, _ in _SYSTEM}:
        raise IdentityRefused("The facility's account has a name that its cluster cannot use.")
    if re.search(r"[:\x00-\x1f\x7f]", str(account.home)):
        raise IdentityRefused("The facility's account has a home that its cluster cannot use.")
    if account.uid == _SYSTEM[-1][1]:
        raise IdentityRefused("The facility's account is nobody's.")


def groups(account: Account) -> list[int]:
    """Every group, the first included, in order."""
    return sorted({account.gid, *account.groups})


def pod_context(account: Account, *, strict: bool) -> dict[str, Any]:
    """The pod's security context. fsGroup is not set: it would change the group of the site's own files."""
    made: dict[str, Any] = {
        "runAsUser": account.uid,
        "runAsGroup": account.gid,
        "runAsNonRoot": True,
        "supplementalGroups": groups(account),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if strict:
        made["supplementalGroupsPolicy"] = "Strict"
    return made


def container_context() -> dict[str, Any]:
    """Each container's: nothing that leads to root."""
    return {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def passwd(account: Account, home: str) -> str:
    """`/etc/passwd` for the container: a few of the system's names, and the account."""
    system = "".join(
        f"{name}:x:{uid}:{uid}:{name}:{at}:/usr/sbin/nologin\n" for name, uid, at in _SYSTEM if uid != account.uid
    )
    return f"{system}{account.username}:x:{account.uid}:{account.gid}:{account.username}:{home}:/bin/sh\n"


def group(account: Account) -> str:
    """`/etc/group` for the container: the account's groups by number, as the site's names are not known here."""
    mine = groups(account)
    system = "".join(f"{name}:x:{gid}:\n" for name, gid, _ in _SYSTEM if gid not in mine)
    lines = []
    for gid in mine:
        name = account.username if gid == account.gid else f"group{gid}"
        lines.append(f"{name}:x:{gid}:{account.username}\n")
    return system + "".join(lines)


def guarded(account: Account, command: list[str]) -> list[str]:
    """`command` behind the guard."""
    allowed = " ".join(str(gid) for gid in groups(account))
    return [PROGRAM, "sh", "-c", GUARD, "guard", allowed, str(account.uid), *command]
