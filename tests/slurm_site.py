"""Slurm of one node: munged, MariaDB, slurmdbd, slurmctld, slurmd and, where it is installed, slurmrestd, in a folder of their own, on free
ports of 127.0.0.1.

All of it, and a helper that submits there, runs in a mount namespace whose password file knows two accounts that the
machine does not know. It needs root.
"""

from __future__ import annotations

import atexit
import http.client
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType

from tests.components import missing
from tests.privileged.site import as_root
from tests.waiting import free_port, until

CPUS, MEMORY_MB = 16, 32_000
ADA, BEN, RESTD = 61_201, 61_202, 61_250
ACCOUNT, QOS, ONE = "facility", "workspaces", "one"
CLUSTER = "parasoltest"
SLURM = """
ClusterName={cluster}
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ctld}
SlurmdPort={d}
AuthType=auth/munge
AuthInfo=socket={s}/munge.socket
CredType=cred/munge
{jwt}
CommunicationParameters=NoAddrCache,NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={s}/state
SlurmdSpoolDir={s}/spool
SlurmctldPidFile={s}/ctld.pid
SlurmdPidFile={s}/d.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin={task}
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0
ReturnToService=2
MpiDefault=none
MailProg=/bin/true
MinJobAge={age}
KillWait=2
SlurmctldTimeout=30
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd}
AccountingStoragePass={s}/munge.socket
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=cpu,mem
PriorityType=priority/multifactor
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Features=fast State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=08:00:00 DefMemPerCPU=100 PriorityTier=1 State=UP
PartitionName=short Nodes={host} MaxTime=00:30:00 DefMemPerCPU=100 PriorityTier=1 State=UP
PartitionName=urgent Nodes={host} MaxTime=08:00:00 DefMemPerCPU=100 PriorityTier=9 State=UP
"""
JWT = "AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={s}/jwt.key"
CGROUP = """
CgroupPlugin=cgroup/v1
CgroupAutomount=no
ConstrainRAMSpace=yes
ConstrainSwapSpace=yes
AllowedSwapSpace=0
"""
SLURMDBD = """
AuthType=auth/munge
AuthInfo=socket={s}/munge.socket
{jwt}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={dbd}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=of-nobody
StorageLoc=slurm_acct
CommunicationParameters=NoInAddrAny
PidFile={s}/dbd.pid
"""
GRANT = (
    "create database slurm_acct; create user slurm@localhost identified by 'of-nobody';"
    " grant all on slurm_acct.* to slurm@localhost;"
)


def rootly() -> AbstractContextManager[None]:
    """Root's business, also within root's business."""
    return nullcontext() if os.getuid() == 0 else as_root()


PEOPLE = {"ada": ADA, "ben": BEN}
GROUPS = {"ada-more": (ADA + 200, "ada"), "ben-more": (BEN + 200, "ben"), "instrument": (61_301, "ada,ben")}


class SlurmSite:
    """A cluster. `around` runs a command where its accounts are known; `conf` is its slurm.conf.

    `people` maps a username to its uid and the gid of its own group, `computing` are those who may use Slurm, the first of them
    when it is empty; `groups` maps a group to its gid and members; `users` are more uids without homes.
    """

    def __init__(
        self, finished_jobs_s: int = 300, people: Mapping[str, int] = PEOPLE,
        groups: Mapping[str, tuple[int, str]] = GROUPS, users: Mapping[str, int] = MappingProxyType({}),
        computing: Collection[str] = (),
    ) -> None:  # fmt: skip
        self._people, self._groups, self._users = people, groups, users
        self._computing = tuple(computing) or tuple(people)[:1]
        self.folder = Path(tempfile.mkdtemp(prefix="ps-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.conf, self.host = self.folder / "slurm.conf", socket.gethostname().split(".")[0]
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.around: tuple[str, ...] = ()
        words = {
            "s": self.folder, "host": self.host, "cluster": CLUSTER, "ctld": free_port(), "d": free_port(),
            "dbd": free_port(), "cpus": CPUS, "memory": MEMORY_MB, "age": finished_jobs_s,
            "task": "task/none" if missing("memory-cgroups") else "task/cgroup",
            "jwt": "" if missing("slurmrestd") else JWT.format(s=self.folder),
        }  # fmt: skip
        self.jwt_key, self.rest = self.folder / "jwt.key", self.folder / "rest" / "s"
        self.jwt_key.write_bytes(os.urandom(32))
        self.jwt_key.chmod(0o600)
        self.conf.write_text(SLURM.format(**words))
        (self.folder / "cgroup.conf").write_text(CGROUP)
        (self.folder / "slurmdbd.conf").write_text(SLURMDBD.format(**words))
        (self.folder / "slurmdbd.conf").chmod(0o600)
        for name in ("state", "spool", "log", "homes"):
            (self.folder / name).mkdir(mode=0o755)
        try:
            self._begin()
        except BaseException:  # else its daemons would outlive the tests
            self.close()
            raise

    # --- parts

    def _begin(self) -> None:
        self._accounts()
        self._munge()
        self._mariadb()
        self._start("slurmdbd", "/usr/sbin/slurmdbd", "-D", MYSQL_UNIX_PORT=str(self.folder / "db" / "m"))
        until(lambda: self.run("sacctmgr", "-n", "show", "cluster").returncode == 0, "slurmdbd answers", 30)
        self._associations()
        self.start_controller()
        self._start("slurmd", "/usr/sbin/slurmd", "-D", "-N", self.host)
        until(lambda: self.run("sinfo", "-h", "-o", "%T").stdout.split()[:1] == ["idle"], "a node is idle", 30)
        if not missing("slurmrestd"):
            self._slurmrestd()

    def home(self, name: str) -> Path:
        """The home of an account."""
        return self.folder / "homes" / name

    def _accounts(self) -> None:
        passwd, group = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
        for name, uid in self._users.items():
            passwd += f"{name}:x:{uid}:{uid}::/:/bin/false\n"
            group += f"{name}:x:{uid}:\n"
        for name, uid in self._people.items():
            home = self.home(name)
            home.mkdir(mode=0o700)
            os.chown(home, uid, uid)
            passwd += f"{name}:x:{uid}:{uid}:{name}:{home}:/bin/sh\n"
            group += f"{name}:x:{uid}:\n"
        group += "".join(f"{name}:x:{gid}:{members}\n" for name, (gid, members) in self._groups.items())
        for name, text in (("passwd", passwd), ("group", group)):
            (self.folder / name).write_text(text)
        binds = " && ".join(f"mount --bind {self.folder}/{name} /etc/{name}" for name in ("passwd", "group"))
        script = f"{binds} && touch {self.folder}/there && exec sleep infinity"
        self._daemons["namespace"] = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script], cwd="/"
        )
        until((self.folder / "there").exists, "there is a mount namespace")
        self.around = ("nsenter", "--mount", "-t", str(self._daemons["namespace"].pid))

    def _munge(self) -> None:
        user = pwd.getpwnam("munge")
        own = self.folder / "munge"
        own.mkdir(mode=0o700)
        (own / "key").write_bytes(os.urandom(128))
        (own / "key").chmod(0o400)
        for path in (own, own / "key"):
            os.chown(path, user.pw_uid, user.pw_gid)
        run = self.folder / "m"
        run.mkdir(mode=0o755)
        os.chown(run, user.pw_uid, user.pw_gid)
        (self.folder / "munge.socket").symlink_to(run / "s")
        self._start(
            "munged", "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
            "/usr/sbin/munged", "--foreground", "--force", f"--key-file={own}/key", f"--socket={run}/s",
            f"--pid-file={run}/pid", f"--seed-file={own}/seed", f"--log-file={own}/log", "--num-threads=2",
        )  # fmt: skip
        until((run / "s").exists, "munged answers")

    def _mariadb(self) -> None:
        user, own = pwd.getpwnam("mysql"), self.folder / "db"
        own.mkdir(mode=0o755)
        os.chown(own, user.pw_uid, user.pw_gid)
        with (self.folder / "log" / "mariadb-install").open("wb") as log:
            subprocess.run(
                ["mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={own}/data", "--skip-test-db",
                 "--auth-root-authentication-method=socket", "--innodb-log-file-size=8M"],
                check=True, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/",
            )  # fmt: skip
        self._start(
            "mariadbd", "/usr/sbin/mariadbd", "--no-defaults", "--user=mysql", f"--datadir={own}/data",
            f"--socket={own}/m", "--skip-networking", f"--pid-file={own}/pid", "--innodb-log-file-size=8M",
            "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0",
        )  # fmt: skip
        client = ["mariadb", "--no-defaults", "-S", f"{own}/m", "-e"]
        until(lambda: self.run(*client, "select 1").returncode == 0, "MariaDB answers", 30)
        subprocess.run([*client, GRANT], check=True, capture_output=True)

    def _slurmrestd(self) -> None:
        """As a user of its own: it refuses to be root or SlurmUser."""
        self.rest.parent.mkdir(mode=0o755)
        os.chown(self.rest.parent, RESTD, RESTD)
        self._start(
            "slurmrestd", "setpriv", f"--reuid={RESTD}", f"--regid={RESTD}", "--clear-groups",
            "/usr/sbin/slurmrestd", "-a", "rest_auth/jwt", f"unix:{self.rest}", SLURM_JWT="daemon",
        )  # fmt: skip
        until(self.rest.exists, "slurmrestd listens")

    def _associations(self) -> None:
        for words in (
            f"add cluster {CLUSTER}",
            f"add account {ACCOUNT} Description=x Organization=y",
            f"add qos {QOS} set MaxWall=04:00:00",
            f"add qos {ONE} set MaxJobsPerUser=1 MaxSubmitJobsPerUser=2",
            f"add user {','.join(self._computing)} account={ACCOUNT} qos=normal,{QOS},{ONE} defaultqos=normal",
        ):
            done = self.run("sacctmgr", "-iQ", *words.split())
            assert done.returncode == 0, (words, done.stdout, done.stderr)

    # --- faults

    def start_controller(self) -> None:
        """slurmctld, with the state that an earlier one left."""
        self._start("slurmctld", "/usr/sbin/slurmctld", "-D")
        until(lambda: self.run("scontrol", "ping").returncode == 0, "slurmctld answers", 30)

    def stop(self, name: str) -> None:
        """End one daemon in order."""
        self._end(name, signal.SIGTERM)

    def _end(self, name: str, number: int) -> None:
        with rootly():
            daemon = self._daemons.pop(name)
            daemon.send_signal(number)
            daemon.wait(30)

    # --- means

    def run(self, *command: str, uid: int = 0) -> subprocess.CompletedProcess[str]:
        """A command of Slurm's as root, or as an account."""
        who = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        with rootly():
            return subprocess.run(
                [*self.around, *who, *command], env=self._environment(), cwd="/", capture_output=True, text=True,
                timeout=30, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def ask_rest(self, path: str, name: str, token: str = "") -> str:
        """What slurmrestd answers an account that shows this token, or its own."""
        uid = {"ada": ADA, "ben": BEN}.get(name, 0)
        token = token or self.run("scontrol", "token", "lifespan=60", uid=uid).stdout.strip()[len("SLURM_JWT=") :]
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(30)
        connection.sock.connect(str(self.rest))
        connection.request("GET", f"/{path}", headers={"X-SLURM-USER-NAME": name, "X-SLURM-USER-TOKEN": token})
        with closing(connection):
            return connection.getresponse().read().decode()

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SLURM_CONF": str(self.conf), "LANG": "C.UTF-8"}

    def _start(self, name: str, *command: str, **variables: str) -> None:
        with rootly(), (self.folder / "log" / name).open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                [*self.around, *command], env={**self._environment(), **variables}, cwd="/",
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def clear(self) -> None:
        """End all jobs. A node that Slurm drained, as it does when a job is killed while it is forked, is good for the next."""
        for name in self._people:
            self.run("scancel", "-u", name)
        until(lambda: not self.run("squeue", "-h").stdout, "its jobs end", 30)
        if "drain" in self.run("sinfo", "-h", "-o", "%T").stdout:
            self.run("scontrol", "update", f"nodename={self.host}", "state=resume")

    def close(self) -> None:
        """End its jobs and it, and remove its folder."""
        with suppress(subprocess.TimeoutExpired, AssertionError):
            self.clear()
        for name in ("slurmrestd", "slurmd", "slurmctld", "slurmdbd", "mariadbd", "munged", "namespace"):
            if name in self._daemons:
                self._end(name, signal.SIGKILL)
        with rootly():
            shutil.rmtree(self.folder)


@cache
def shared_slurm() -> SlurmSite:
    """One for the whole run."""
    with rootly():
        site = SlurmSite()
    atexit.register(site.close)
    return site
