"""Starts JupyterLab in a workspace: puts the notebook there once, then becomes the server."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


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
