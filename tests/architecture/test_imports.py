"""Each side imports without the other side's libraries, and the wheel holds what it should."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BLOCK = """
import importlib.abc, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError("blocked: " + name, name=name)
sys.meta_path.insert(0, Block())
{prelude}
import {modules}
"""
DJANGO = "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'central_portal.settings'; django.setup()"


def imports(modules: str, blocked: set[str], prelude: str = "") -> subprocess.CompletedProcess[str]:
    code = BLOCK.format(blocked=blocked, modules=modules, prelude=prelude)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)


@pytest.mark.parametrize(
    ("modules", "blocked", "prelude"),
    [
        (
            "facility_agent.cli, facility_agent.composition, facility_agent.gateway.app, facility_agent.link.client",
            {"django", "graphene", "graphene_django", "graphql", "channels", "central_portal"},
            "",
        ),
        (
            "central_portal.cli, central_portal.composition, central_portal.link.hub",
            {"aiohttp", "argon2", "h5py", "psutil", "pyFAI", "numpy", "facility_agent"},
            DJANGO,
        ),
    ],
    ids=["facility without Django", "centre without facility libraries"],
)
def test_a_side_imports_without_the_others_libraries(modules: str, blocked: set[str], prelude: str) -> None:
    result = imports(modules, blocked, prelude)
    assert result.returncode == 0, result.stderr[-2000:]


def test_the_block_really_blocks() -> None:
    assert "blocked: django" in imports("django", {"django"}).stderr


def test_the_wire_contract_is_no_package() -> None:
    assert not list((ROOT / "proto").rglob("__init__.py")), "proto/ would collide with proto-plus"


def test_only_the_three_packages_are_installed() -> None:
    from setuptools import find_packages

    found = find_packages(str(ROOT), include=["central_portal*", "facility_agent*", "shared*"])
    assert {name.split(".")[0] for name in found} == {"central_portal", "facility_agent", "shared"}
    for package in found:
        assert (ROOT / package.replace(".", "/") / "__init__.py").exists()


def test_nothing_imports_the_tests_or_the_demo() -> None:
    for package in ("central_portal", "facility_agent", "shared"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            assert "import tests" not in text, path
            assert "from tests" not in text, path
            assert "deploy.demo" not in text, path


def test_only_processes_of_one_thread_set_their_umask() -> None:
    """It is the whole process's: two threads that set and reset it leave each other's behind."""
    own = {"facility_agent/helper", "facility_agent/adapters/compute/supervisor.py"}
    found = [
        str(path.relative_to(ROOT))
        for package in ("central_portal", "facility_agent", "shared")
        for path in (ROOT / package).rglob("*.py")
        if "os.umask(" in path.read_text()
    ]
    assert found, "else this looks at nothing"
    assert [path for path in found if not any(path.startswith(each) for each in own)] == []
