"""Writes shared/wire/gen from proto/. `--check` fails when the committed code differs.

The compiler's version is pinned in constraints.txt (grpcio-tools). `-Ishared/wire/gen=proto` makes the
generated imports right without patching; it needs that no .proto imports another.
"""

from __future__ import annotations

import argparse
import filecmp
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path("shared/wire/gen")


def generate(into: Path) -> None:
    """Compile every .proto into `into/shared/wire/gen`, with a package file in each folder."""
    files = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "proto").rglob("*.proto"))
    outputs = [f"--{kind}_out={into}" for kind in ("python", "pyi", "grpc_python")]
    virtual = [str(Path(TARGET) / Path(name).relative_to("proto")) for name in files]
    status = protoc.main(["protoc", f"-I{TARGET}={ROOT / 'proto'}", *outputs, *virtual])
    if status != 0:
        raise SystemExit(status)
    target = into / TARGET
    for path in target.rglob("*_pb2_grpc.py"):
        if "Stub" not in path.read_text():
            path.unlink()
    for path in {
        parent for file in target.rglob("*.py") for parent in file.parents if parent.is_relative_to(target)
    }:
        (path / "__init__.py").write_text('"""Generated from proto/; do not edit."""\n')


def differences(left: Path, right: Path) -> list[str]:
    """Relative paths that are not byte-equal in both folders."""
    names = {
        str(p.relative_to(d)) for d in (left, right) for p in d.rglob("*.py*") if "__pycache__" not in p.parts
    }
    return sorted(
        name
        for name in names
        if not (
            (left / name).exists()
            and (right / name).exists()
            and filecmp.cmp(left / name, right / name, shallow=False)
        )
    )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    if not check:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = differences(Path(folder) / TARGET, ROOT / TARGET)
    if stale:
        sys.exit("generated code is stale, run proto/generate.py: " + ", ".join(stale))


if __name__ == "__main__":
    main()
