"""Writes shared/wire/gen from proto/. `--check` fails when the committed code differs, or when the contract breaks the released one.

`--release` records the contract as released (proto/released.binpb): do it for each version that facilities get.

The compiler's version is pinned in constraints.txt (grpcio-tools). `-Ishared/wire/gen=proto` makes the
generated imports right without patching; it needs that no .proto imports another.
"""

from __future__ import annotations

import argparse
import filecmp
import sys
import tempfile
from pathlib import Path

from breaking import breaks
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path("shared/wire/gen")
RELEASED = ROOT / "proto" / "released.binpb"


def contracts() -> list[str]:
    """Every .proto, relative to proto/."""
    return sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto").rglob("*.proto"))


def compile_with(*arguments: str) -> None:
    """Runs the compiler. Raises SystemExit when it complains."""
    status = protoc.main(["protoc", *arguments])
    if status != 0:
        raise SystemExit(status)


def generate(into: Path) -> None:
    """Compile every .proto into `into/shared/wire/gen`, with a package file in each folder."""
    outputs = [f"--{kind}_out={into}" for kind in ("python", "pyi", "grpc_python")]
    compile_with(f"-I{TARGET}={ROOT / 'proto'}", *outputs, *(str(TARGET / name) for name in contracts()))
    target = into / TARGET
    for path in target.rglob("*_pb2_grpc.py"):
        if "Stub" not in path.read_text():
            path.unlink()
    for path in {
        parent for file in target.rglob("*.py") for parent in file.parents if parent.is_relative_to(target)
    }:
        (path / "__init__.py").write_text('"""Generated from proto/; do not edit."""\n')


def described() -> bytes:
    """The contract as a serialised FileDescriptorSet."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "now.binpb"
        compile_with(f"-I{ROOT / 'proto'}", f"--descriptor_set_out={out}", *contracts())
        return out.read_bytes()


def broken() -> list[str]:
    """What the contract takes from those who speak the released one."""
    released = FileDescriptorSet.FromString(RELEASED.read_bytes())
    return list(breaks(released, FileDescriptorSet.FromString(described())))


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
    parser.add_argument("--release", action="store_true", help="record the contract as released")
    options = parser.parse_args()
    if options.release:
        RELEASED.write_bytes(described())
    elif options.check:
        check()
    else:
        generate(ROOT)


def check() -> None:
    """Raises SystemExit with every fault found."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = differences(Path(folder) / TARGET, ROOT / TARGET)
    faults = [f"The generated code is stale, run proto/generate.py: {', '.join(stale)}."] if stale else []
    faults += [f"{fault} Facilities speak the released contract." for fault in broken()]
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
