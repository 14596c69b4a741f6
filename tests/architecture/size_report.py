"""Names every file over 300 lines, function over 40 and port over 7 methods that nobody has justified.

`python -m tests.architecture.size_report` prints the report and fails for an unjustified one.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("shared", "facility_agent", "central_portal", "deploy", "proto")
FILE_LINES, FUNCTION_LINES, PORT_METHODS = 300, 40, 7

JUSTIFIED: dict[str, str] = {
    "deploy/demo/configure.py": "half of it is the text of a TOML file",
    "deploy/demo/configure.py:_facility": "the text of a TOML file",
}


def sources() -> Iterator[Path]:
    """Every Python file of the product that people write."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = set(path.parts)
            if not parts & {"gen", "migrations", "node_modules", "__pycache__"}:
                yield path


def oversized(path: Path) -> Iterator[tuple[str, str]]:
    """(key, what) of each oversized thing in one file."""
    name = str(path.relative_to(ROOT))
    text = path.read_text()
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield name, f"{lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
            if length > FUNCTION_LINES:
                yield f"{name}:{node.name}", f"{length} lines"
        elif isinstance(node, ast.ClassDef) and "/ports/" in name:
            methods = sum(isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) for item in node.body)
            if methods > PORT_METHODS:
                yield f"{name}:{node.name}", f"{methods} methods"


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return (first.end_lineno or first.lineno) - first.lineno + 1
    return 0


def main() -> int:
    """Print the report; 1 when something is oversized without a reason."""
    found = [(key, what) for path in sources() for key, what in oversized(path)]
    for key, what in found:
        print(f"{key}: {what}; {JUSTIFIED.get(key, 'NOT JUSTIFIED')}")
    stale = set(JUSTIFIED) - {key for key, _ in found}
    for key in sorted(stale):
        print(f"{key}: justified but no longer oversized")
    bad = [key for key, _ in found if key not in JUSTIFIED]
    print(f"size: {len(found)} oversized, {len(bad)} not justified")
    return 1 if bad or stale else 0


if __name__ == "__main__":
    sys.exit(main())
