"""Starts JupyterLab in a workspace: puts the notebook there once, then becomes the server."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

LONGEST = 55
"""Of a folder's path, so that a kernel's Unix sockets in it stay within the kernel's bound of 107 bytes."""


def kept_private() -> list[str]:
    """What makes kernels listen in a folder of this account alone: on ports of its machine anyone there can hear what they print."""
    for place in filter(os.path.isdir, (os.environ.get("TMPDIR", ""), "/tmp", "/dev/shm")):
        with suppress(OSError):
            folder = tempfile.mkdtemp(prefix="jp-", dir=place)
            if len(folder) <= LONGEST:
                os.environ["JUPYTER_RUNTIME_DIR"] = folder
                return ["--KernelManager.transport=ipc"]
            Path(folder).rmdir()
    return []


def main() -> None:
    """Arguments: the workspace's working folder, and the Unix socket or the port to listen on."""
    work, at = Path(sys.argv[1]), sys.argv[2]
    listen = ["--ServerApp.ip=0.0.0.0", f"--ServerApp.port={at}"] if at.isdigit() else [f"--ServerApp.sock={at}"]
    notebook = work / "analysis.ipynb"
    if not notebook.exists():
        shutil.copy(Path(__file__).with_name("analysis.ipynb"), notebook)
    os.environ.setdefault(
        "SILX_OPENCL", "0"
    )  # pyFAI integrates on the CPU and need not warn that OpenCL is missing
    lab = Path(sys.executable).with_name("jupyter-lab")
    os.execv(
        sys.executable,
        [
            sys.executable,
            str(lab),
            "--no-browser",
            *listen,
            *kept_private(),
            f"--ServerApp.root_dir={work}",
            "--ServerApp.allow_remote_access=True",
            "--ServerApp.terminals_enabled=True",
            "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            "--LabApp.extension_manager=readonly",
            "--FileContentsManager.delete_to_trash=False",
            f"--LabServerApp.app_settings_dir={Path(__file__).parent / 'settings'}",
            "--ServerApp.preferred_dir=" + str(work),
        ],
    )


if __name__ == "__main__":
    main()
