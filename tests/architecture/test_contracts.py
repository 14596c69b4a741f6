"""Every adapter that is an entry point stands in a world of its port's contract suites, and the kit stands alone."""

from __future__ import annotations

import ast
from importlib.metadata import distribution
from pathlib import Path

import pytest

from facility_agent.plugins import GROUPS
from tests.contracts.worlds import PRIVILEGED, WORLDS

ROOT = Path(__file__).resolve().parents[2]
SUITES = {
    "parasol.compute": {"ComputeContract"},
    "parasol.catalogue": {"CatalogueContract", "RestorableContract"},
    "parasol.accounts": {"DirectoryContract", "SignOnContract", "AccessRulesContract"},
    "parasol.access": {"AccessRulesContract"},
}


def bases_of_tests() -> set[str]:
    """The classes that test classes of tests/contracts subclass."""
    found: set[str] = set()
    for path in (ROOT / "tests" / "contracts").glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                found |= {base.id for base in node.bases if isinstance(base, ast.Name)}
    return found


@pytest.mark.parametrize("group", sorted(GROUPS.values()))
def test_every_entry_point_has_a_world(group: str) -> None:
    declared = {p.name for p in distribution("parasol-portal").entry_points if p.group == group}
    assert declared, "the distribution declares its adapters"
    assert set(WORLDS[group]) == declared | {"memory"}
    for name in PRIVILEGED & declared:
        (path,) = (ROOT / "tests" / "privileged").glob(f"test_{name}_compute.py")
        assert f'WORLDS["{group}"]["{name}"]' in path.read_text(), "its suite runs there"


def test_every_suite_is_run() -> None:
    assert set(SUITES) == set(GROUPS.values())
    kit = {
        node.name
        for path in (ROOT / "facility_agent" / "testing").glob("*_contract.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Contract")
    }
    assert kit == set().union(*SUITES.values())
    assert kit <= bases_of_tests()


def test_the_kit_is_importable_from_the_wheel_alone() -> None:
    for path in (ROOT / "facility_agent" / "testing").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.split(".")[0] == "tests"], path
