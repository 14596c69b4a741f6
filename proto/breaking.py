"""What a change of the contract takes from those who speak the released one. Pure; the rules are buf's FILE and WIRE_JSON.

Adding is free: files, messages, fields under fresh numbers, methods. Taking away, renaming, renumbering and retyping
is not, nor is using what was reserved. Retire a field by marking it deprecated; once no supported version needs it,
reserve its number and name and record a new release.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

_TYPES = FieldDescriptorProto.Type
_LABELS = FieldDescriptorProto.Label


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def breaks(released: FileDescriptorSet, now: FileDescriptorSet) -> Iterator[str]:
    """One sentence for each thing that a peer of the released contract would stumble over."""
    files = _named(now.file)
    for before in released.file:
        after = files.get(before.name)
        if after is None:
            yield f"{before.name} was removed."
            continue
        yield from _file(before, after)


def _file(before: FileDescriptorProto, after: FileDescriptorProto) -> Iterator[str]:
    if (before.package, before.syntax) != (after.package, after.syntax):
        yield f"{before.name} changed its package or syntax."
        return
    yield from _messages(before.package, before.message_type, after.message_type)
    yield from _enums(before.package, before.enum_type, after.enum_type)
    services = _named(after.service)
    for service in before.service:
        yield from _service(f"{before.package}.{service.name}", service, services.get(service.name))


def _messages(scope: str, before: Iterable[DescriptorProto], after: Iterable[DescriptorProto]) -> Iterator[str]:
    found = _named(after)
    for message in before:
        name = f"{scope}.{message.name}"
        if message.name not in found:
            yield f"Message {name} was removed."
            continue
        current = found[message.name]
        yield from _fields(name, message, current)
        yield from _reserved(name, message, current)
        yield from _messages(name, message.nested_type, current.nested_type)
        yield from _enums(name, message.enum_type, current.enum_type)


def _fields(message: str, before: DescriptorProto, after: DescriptorProto) -> Iterator[str]:
    by_number = {field.number: field for field in after.field}
    by_name = _named(after.field)
    for field in before.field:
        name = f"{message}.{field.name}"
        current = by_number.get(field.number)
        if field.name in by_name and by_name[field.name].number != field.number:
            yield f"Field {name} was renumbered from {field.number} to {by_name[field.name].number}."
        elif current is None:
            yield f"Field {name} ({field.number}) was removed."
        elif current.name != field.name:
            yield f"Field {name} ({field.number}) was renamed to {current.name}."
        else:
            yield from _field(name, field, current, _oneof(before, field), _oneof(after, current))


def _field(
    name: str, before: FieldDescriptorProto, after: FieldDescriptorProto, oneof: str, current_oneof: str
) -> Iterator[str]:
    if (before.type, before.type_name) != (after.type, after.type_name):
        yield f"Field {name} changed its type from {_type(before)} to {_type(after)}."
    if before.label != after.label:
        yield f"Field {name} changed from {_LABELS.Name(before.label)} to {_LABELS.Name(after.label)}."
    if before.proto3_optional != after.proto3_optional:
        yield f"Field {name} {'gained' if after.proto3_optional else 'lost'} its presence (optional)."
    if oneof != current_oneof:
        yield f"Field {name} moved from {oneof or 'no oneof'} to {current_oneof or 'no oneof'}."
    if before.json_name != after.json_name:
        yield f"Field {name} changed its JSON name from {before.json_name} to {after.json_name}."
    if before.options.packed != after.options.packed:
        yield f"Field {name} changed how it is packed."


def _reserved(message: str, before: DescriptorProto, after: DescriptorProto) -> Iterator[str]:
    known = {field.number for field in before.field}
    for field in after.field:
        taken = any(span.start <= field.number < span.end for span in before.reserved_range)
        if field.number not in known and (taken or field.name in before.reserved_name):
            yield f"Field {message}.{field.name} ({field.number}) uses what was reserved."
    kept = [(span.start, span.end) for span in after.reserved_range]
    used = {field.number for field in after.field}
    for span in before.reserved_range:
        numbers = range(span.start, span.end)
        freed = [n for n in numbers if n not in used and not any(start <= n < end for start, end in kept)]
        if freed:
            yield f"Message {message} no longer reserves {freed[0]}."
    for name in set(before.reserved_name) - set(after.reserved_name) - {field.name for field in after.field}:
        yield f"Message {message} no longer reserves the name {name}."


def _enums(
    scope: str, before: Iterable[EnumDescriptorProto], after: Iterable[EnumDescriptorProto]
) -> Iterator[str]:
    found = _named(after)
    for enum in before:
        name = f"{scope}.{enum.name}"
        if enum.name not in found:
            yield f"Enum {name} was removed."
            continue
        values = {value.number: value.name for value in found[enum.name].value}
        for value in enum.value:
            if values.get(value.number) != value.name:
                yield f"Value {name}.{value.name} ({value.number}) was removed, renamed or renumbered."


def _service(name: str, before: ServiceDescriptorProto, after: ServiceDescriptorProto | None) -> Iterator[str]:
    if after is None:
        yield f"Service {name} was removed."
        return
    methods = _named(after.method)
    for method in before.method:
        current = methods.get(method.name)
        if current is None:
            yield f"Method {name}.{method.name} was removed."
        elif (method.input_type, method.output_type) != (current.input_type, current.output_type):
            yield f"Method {name}.{method.name} takes or gives another message."
        elif (method.client_streaming, method.server_streaming) != (
            current.client_streaming,
            current.server_streaming,
        ):
            yield f"Method {name}.{method.name} changed what it streams."


def _oneof(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    """The oneof that a person wrote; the one that stands for `optional` is none."""
    if not field.HasField("oneof_index") or field.proto3_optional:
        return ""
    return f"oneof {message.oneof_decl[field.oneof_index].name}"


def _type(field: FieldDescriptorProto) -> str:
    return field.type_name.lstrip(".") or _TYPES.Name(field.type).removeprefix("TYPE_").lower()


def _named(items: Iterable[N]) -> Mapping[str, N]:
    return {item.name: item for item in items}
