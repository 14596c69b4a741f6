"""Documents are parsed, judged and validated once and kept; results are plain data, completed by a compiled plan."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionContext,
    FieldNode,
    GraphQLBoolean,
    GraphQLError,
    GraphQLID,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_object_type,
    parse,
    validate,
)

from central_portal.api.errors import refusal
from central_portal.api.guard import guard, guard_repeats
from shared.limits import LIMITS

DOCUMENTS = 512
OBJECTS = 20_000


def iso(seconds: float) -> str:
    """POSIX seconds as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def seconds(text: object) -> float:
    """The POSIX seconds of an ISO 8601 instant with an offset. Raises GraphQLError."""
    try:
        instant = datetime.fromisoformat(str(text))
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise GraphQLError("A DateTime is ISO 8601 with an offset, for example 2026-01-31T09:00:00Z.")
    return instant.timestamp()


class Documents:
    """Parsed and validated documents, the last used kept. What depends on variables is judged each time."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._kept: OrderedDict[str, DocumentNode] = OrderedDict()

    def prepare(self, text: str, variables: Mapping[str, Any] | None) -> DocumentNode | list[GraphQLError]:
        """The document, or why it is refused; nothing of a refused document is kept or executed."""
        known = self._kept.get(text)
        try:
            document = known or parse(text, max_tokens=LIMITS.graphql_tokens, no_location=True)
            if known is None:
                guard_repeats(document)
            guard(self._schema, document, variables)
        except GraphQLError as error:
            return [error]
        except RecursionError:
            return [refusal("QUERY_TOO_COMPLEX", "The query is nested too deeply.")]
        if known is None:
            mistakes = validate(self._schema, document, max_errors=10)
            if mistakes:
                return mistakes
            if (
                "@" not in text
            ):  # without directives a document means the same whatever the variables: so do its plans
                for definition in document.definitions:
                    vars(definition)["plans"] = {}
            self._kept[text] = document
            if len(self._kept) > DOCUMENTS:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(text)
        return document


Completer = Callable[[Any, "PlainContext"], Any]
Plan = Callable[[dict[str, Any], "PlainContext"], dict[str, Any]]


class PlainContext(ExecutionContext):
    """Completes dicts without a resolver call per field.

    Below a top-level resolver everything is plain data, so the selection of each object type is compiled into
    (key, name, completer) and applied to every row; a kept document keeps its plans. Any surprise (a null where
    the schema forbids it, a field with arguments) falls back to graphql-core's own way for that object, so that
    errors read the same.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plans: dict[tuple[int, ...], Plan | None] = vars(self.operation).get("plans", {})
        self._left = OBJECTS

    def complete_object_value(
        self, return_type: GraphQLObjectType, field_nodes: list[FieldNode], info: Any, path: Any, result: Any
    ) -> Any:
        """Apply the compiled plan to a dict; anything else takes the usual way. Raises when the answer grows too large."""
        self.count()
        if type(result) is dict:
            plan = self._plan(return_type, field_nodes)
            if plan is not None:
                try:
                    return plan(result, self)
                except _TooLarge:
                    raise
                except (_Surprise, GraphQLError, ArithmeticError, LookupError, TypeError, ValueError):
                    pass  # the usual way finds it again and says where it is
        return super().complete_object_value(return_type, field_nodes, info, path, result)

    def count(self) -> None:
        """The guard estimates the size of lists; what they really hold is bounded here."""
        self._left -= 1
        if self._left < 0:
            raise _TooLarge

    def _plan(self, kind: GraphQLObjectType, nodes: list[FieldNode]) -> Plan | None:
        # All the nodes: those of one fragment meet other ones in each place where it is spread.
        key = (id(kind), *map(id, nodes))
        if key not in self._plans:
            self._plans[key] = self.compile(kind, nodes)
        return self._plans[key]

    def compile(self, kind: GraphQLObjectType, nodes: list[FieldNode]) -> Plan | None:
        """The plan of a selection, which outlives this context; None when it needs the usual way."""
        entries: list[tuple[str, str, type, Completer]] = []
        for key, selected in self.collect_subfields(kind, nodes).items():
            name = selected[0].name.value
            if name == "__typename":
                entries.append((key, "", _Never, _constant(kind.name)))
                continue
            field = kind.fields.get(name)
            if field is None or field.args or field.resolve is not None:
                return None
            completer = _completer(field.type, selected)
            if completer is None:
                return None
            entries.append((key, name, _AS_IT_IS.get(get_nullable_type(field.type), _Never), completer))

        def plan(row: dict[str, Any], context: PlainContext) -> dict[str, Any]:
            return {
                key: value if type(value := row.get(name)) is plain else completer(value, context)
                for key, name, plain, completer in entries
            }

        return plan


def _completer(kind: GraphQLOutputType, nodes: list[FieldNode]) -> Completer | None:
    if isinstance(kind, GraphQLNonNull):
        inner = _nullable(kind.of_type, nodes)
        return inner and _required(inner)
    inner = _nullable(kind, nodes)
    return inner and _optional(inner)


def _nullable(kind: Any, nodes: list[FieldNode]) -> Completer | None:
    if is_leaf_type(kind):
        serialize = kind.serialize
        return lambda value, _: serialize(value)
    if is_list_type(kind):
        item = _completer(kind.of_type, nodes)
        return item and (lambda values, context: [item(value, context) for value in values])
    if is_object_type(kind):
        plan: Plan | None = None

        # Compiled when first used: most branches of a query have no row.
        def complete(value: Any, context: PlainContext) -> Any:
            nonlocal plan
            context.count()
            if plan is None:
                plan = context.compile(kind, nodes)
            if plan is None or type(value) is not dict:
                raise _Surprise
            return plan(value, context)

        return complete
    return None


class _Never:
    """The type of no value."""


_AS_IT_IS: dict[Any, type] = {GraphQLString: str, GraphQLID: str, GraphQLBoolean: bool}
"""Values of these types are shown as they are, without asking the scalar."""


class _TooLarge(GraphQLError):
    """Found while executing, and reported once: it is caught by the nearest field that may be null."""

    def __init__(self) -> None:
        super().__init__(
            "The answer would be too large; ask for fewer or smaller pages.",
            extensions={"code": "QUERY_TOO_COMPLEX", "retryable": False},
        )


class _Surprise(Exception):
    """Something that only the usual way can report properly."""


def _constant(text: str) -> Completer:
    return lambda *_: text


def _required(inner: Completer) -> Completer:
    def complete(value: Any, context: PlainContext) -> Any:
        if value is None:
            raise _Surprise
        return inner(value, context)

    return complete


def _optional(inner: Completer) -> Completer:
    return lambda value, context: None if value is None else inner(value, context)


def typename_of(value: Any, *_: Any) -> str:
    """The concrete type of a node."""
    return str(value["__typename"])


def adopt(schema: GraphQLSchema) -> None:
    """Teach a schema built from SDL its scalar, its enums (members of ours or their names), and its interfaces."""
    moment = schema.type_map["DateTime"]
    moment.serialize = lambda value: iso(float(value))  # type: ignore[attr-defined]
    moment.parse_value = seconds  # type: ignore[attr-defined]
    for kind in schema.type_map.values():
        if is_abstract_type(kind):
            kind.resolve_type = typename_of  # type: ignore[attr-defined]
        values = getattr(kind, "values", None)
        if isinstance(values, dict) and not kind.name.startswith("__"):
            names = {name: name for name in values}
            kind.serialize = lambda value, names=names: names[getattr(value, "name", value)]  # type: ignore[attr-defined]
