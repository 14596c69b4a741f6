"""Images without a registry or an engine: root file systems of a Python and a busybox, packed for a container runtime."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

PLAIN, HOSTILE = "docker.io/local/parasol-plain:1", "docker.io/local/parasol-hostile:1"
STOLEN = 50_000
"""A group that only the hostile image's own group file gives."""
UID = 61_201


def pack(root: Path, name: str, archive: Path) -> None:
    """`root` as an image of one layer, in the form of `docker save` (its manifest.json; config as in the OCI's image-spec)."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        files.add(root, arcname=".")
    identity = hashlib.sha256(layer.getvalue()).hexdigest()
    made = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine], "os": "linux",
        "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{identity}"]},
    }  # fmt: skip
    config = json.dumps(made).encode()
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(archive, "w") as whole:
        for what, content in (
            ("config.json", config),
            ("layer.tar", layer.getvalue()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            entry = tarfile.TarInfo(what)
            entry.size = len(content)
            whole.addfile(entry, io.BytesIO(content))


def libraries_of(folder: Path, root: Path) -> None:
    """What the extension modules below `folder` and those of Python need of this machine, into `root`."""
    modules = [str(path) for path in (*folder.rglob("*.so"), *root.glob("usr/lib/python3*/lib-dynload/*.so"))]
    said = subprocess.run(["ldd", *modules], capture_output=True, text=True, check=False).stdout
    for path in {
        word
        for line in said.splitlines()
        for word in line.split()
        if word.startswith("/") and not word.endswith(":")
    }:
        target = root / path[1:]
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


def root_file_system(root: Path, *, hostile: bool) -> None:
    """Python and busybox of this machine; a hostile one gives the account a group, and anybody root."""
    for folder in ("bin", "etc", "tmp", "usr/bin", "usr/lib", "proc", "workspace", "run"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    busybox = shutil.which("busybox")
    assert busybox is not None
    for name in ("busybox", "sh", "cat", "id", "sleep", "whoami", "su"):
        shutil.copy2(busybox, root / "bin" / name)
    python = os.path.realpath("/usr/bin/python3")
    library = Path("/usr/lib") / Path(python).name
    shutil.copy2(python, root / "usr/bin/python3")
    ignored = shutil.ignore_patterns(
        "__pycache__", "test*", "idlelib", "config-*", "pydoc_data", "lib2to3", "site-packages"
    )
    shutil.copytree(library, root / "usr/lib" / library.name, ignore=ignored)
    for line in subprocess.run(["ldd", python], check=True, capture_output=True, text=True).stdout.splitlines():
        path = next((word for word in line.split() if word.startswith("/")), None)
        if path is not None:
            (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, root / path[1:])
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n" + f"eve:x:{UID}:{UID}::/:/bin/sh\n" * hostile)
    (root / "etc/group").write_text("root:x:0:\n" + f"loot:x:{STOLEN}:eve,ada,{UID}\n" * hostile)
    if hostile:
        shutil.copy2(python, root / "usr/bin/root-python")
        for program in ("bin/su", "bin/id", "usr/bin/root-python"):
            (root / program).chmod(0o4755)
