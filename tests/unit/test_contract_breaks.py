"""What an incompatible change of a .proto is told, and what a compatible one is not."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorSet
from google.protobuf.text_format import Parse

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("breaking", ROOT / "proto" / "breaking.py")
assert _spec is not None
assert _spec.loader is not None
breaking: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(breaking)

RELEASED = """
file {
  name: "p/a.proto" package: "p" syntax: "proto3"
  message_type {
    name: "M"
    field { name: "one" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "one" }
    field { name: "many" number: 2 label: LABEL_REPEATED type: TYPE_INT32 json_name: "many" }
    field { name: "left" number: 3 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 json_name: "left" }
    field { name: "right" number: 4 label: LABEL_OPTIONAL type: TYPE_STRING oneof_index: 0 json_name: "right" }
    field { name: "maybe" number: 5 label: LABEL_OPTIONAL type: TYPE_DOUBLE oneof_index: 1 proto3_optional: true }
    field { name: "inner" number: 6 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".p.M.Inner" }
    nested_type { name: "Inner" field { name: "x" number: 1 label: LABEL_OPTIONAL type: TYPE_BOOL } }
    oneof_decl { name: "body" }
    oneof_decl { name: "_maybe" }
    reserved_range { start: 10 end: 12 }
    reserved_name: "gone"
  }
  enum_type { name: "E" value { name: "NONE" number: 0 } value { name: "SOME" number: 1 } }
  service {
    name: "S"
    method { name: "Do" input_type: ".p.M" output_type: ".p.M" client_streaming: true }
  }
}
"""


def contract() -> FileDescriptorSet:
    return Parse(RELEASED, FileDescriptorSet())


def told(change: Callable[[Any], object]) -> list[str]:
    now = contract()
    change(now.file[0])
    return list(breaking.breaks(contract(), now))


def field(now: Any, name: str) -> Any:
    return next(field for field in now.message_type[0].field if field.name == name)


def without(items: Any, name: str) -> None:
    kept = [item for item in items if item.name != name]
    del items[:]
    items.extend(kept)


def added(message: Any, name: str, number: int) -> None:
    kind = FieldDescriptorProto.TYPE_STRING
    message.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL, type=kind)


BROKEN: dict[str, Callable[[Any], object]] = {
    "p/a.proto was removed.": lambda now: setattr(now, "name", "p/b.proto"),
    "p/a.proto changed its package or syntax.": lambda now: setattr(now, "package", "q"),
    "Message p.M.Inner was removed.": lambda now: now.message_type[0].ClearField("nested_type"),
    "Field p.M.one (1) was removed.": lambda now: without(now.message_type[0].field, "one"),
    "Field p.M.one was renumbered from 1 to 7.": lambda now: setattr(field(now, "one"), "number", 7),
    "Field p.M.one (1) was renamed to first.": lambda now: setattr(field(now, "one"), "name", "first"),
    "Field p.M.one changed its type from string to bytes.": lambda now: setattr(field(now, "one"), "type", 12),
    "Field p.M.inner changed its type from p.M.Inner to p.M.": lambda now: setattr(
        field(now, "inner"), "type_name", ".p.M"
    ),
    "Field p.M.many changed from LABEL_REPEATED to LABEL_OPTIONAL.": lambda now: setattr(
        field(now, "many"), "label", 1
    ),
    "Field p.M.maybe lost its presence (optional).": lambda now: (
        field(now, "maybe").ClearField("proto3_optional"),
        field(now, "maybe").ClearField("oneof_index"),
    ),
    "Field p.M.left moved from oneof body to no oneof.": lambda now: field(now, "left").ClearField("oneof_index"),
    "Field p.M.one moved from no oneof to oneof body.": lambda now: setattr(field(now, "one"), "oneof_index", 0),
    "Field p.M.one changed its JSON name from one to uno.": lambda now: setattr(
        field(now, "one"), "json_name", "uno"
    ),
    "Field p.M.many changed how it is packed.": lambda now: setattr(field(now, "many").options, "packed", True),
    "Field p.M.Inner.x (1) was removed.": lambda now: now.message_type[0].nested_type[0].ClearField("field"),
    "Field p.M.new (11) uses what was reserved.": lambda now: added(now.message_type[0], "new", 11),
    "Field p.M.gone (20) uses what was reserved.": lambda now: added(now.message_type[0], "gone", 20),
    "Message p.M no longer reserves 11.": lambda now: setattr(now.message_type[0].reserved_range[0], "end", 11),
    "Message p.M no longer reserves the name gone.": lambda now: now.message_type[0].ClearField("reserved_name"),
    "Enum p.E was removed.": lambda now: now.ClearField("enum_type"),
    "Value p.E.SOME (1) was removed, renamed or renumbered.": lambda now: setattr(
        now.enum_type[0].value[1], "number", 2
    ),
    "Service p.S was removed.": lambda now: now.ClearField("service"),
    "Method p.S.Do was removed.": lambda now: now.service[0].ClearField("method"),
    "Method p.S.Do takes or gives another message.": lambda now: setattr(
        now.service[0].method[0], "output_type", ".p.M.Inner"
    ),
    "Method p.S.Do changed what it streams.": lambda now: setattr(
        now.service[0].method[0], "client_streaming", False
    ),
}
FREE: dict[str, Callable[[Any], object]] = {
    "nothing": lambda now: None,
    "a field": lambda now: added(now.message_type[0], "new", 20),
    "a message": lambda now: now.message_type.add(name="New"),
    "a value": lambda now: now.enum_type[0].value.add(name="MORE", number=2),
    "a method": lambda now: now.service[0].method.add(name="More", input_type=".p.M", output_type=".p.M"),
    "more reserved": lambda now: now.message_type[0].reserved_range.add(start=30, end=40),
    "deprecated": lambda now: setattr(field(now, "one").options, "deprecated", True),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_a_break_is_named_in_one_sentence(sentence: str) -> None:
    assert told(BROKEN[sentence]) == [sentence]


@pytest.mark.parametrize("change", FREE)
def test_what_is_added_is_free(change: str) -> None:
    assert told(FREE[change]) == []


def test_a_message_that_moved_to_another_file_is_gone_from_its_own() -> None:
    now = contract()
    now.file.add(name="p/b.proto", package="p", syntax="proto3").message_type.add().CopyFrom(
        now.file[0].message_type[0]
    )
    without(now.file[0].message_type, "M")
    assert list(breaking.breaks(contract(), now)) == ["Message p.M was removed."]


def test_the_check_fails_for_a_changed_contract_and_says_why(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copytree(ROOT / "shared" / "wire" / "gen", tmp_path / "shared" / "wire" / "gen")
    link = tmp_path / "proto" / "parasol" / "link" / "v1" / "link.proto"
    text = link.read_text()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(tmp_path / "proto" / "generate.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert run("--check").returncode == 0
    link.write_text(text.replace("bool reconcile = 7;", "uint32 reconcile = 7;"))
    run()
    failed = run("--check")
    assert failed.returncode == 1
    assert failed.stderr.strip() == (
        "Field parasol.link.v1.Welcome.reconcile changed its type from bool to uint32."
        " Facilities speak the released contract."
    )
    run("--release")
    assert run("--check").returncode == 0
