"""Judges a document before it is validated: depth, breadth, aliases and cost, in one bounded pass.

Validation itself can be made expensive (300 equal fields cost 120 ms), so nothing unbounded may reach it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from central_portal.api.errors import refusal
from shared.limits import LIMITS

ROOT_FIELDS = 20
DEFAULT_LIST = 20
REPEATS = 50
_PAGED = frozenset(
    {
        "FacilityConnection", "WorkspaceConnection", "SearchResult", "ProposalResult", "FileConnection",
        "OpenDatasetConnection",
    }
)  # fmt: skip


def guard_repeats(document: DocumentNode) -> None:
    """Raises GraphQLError when one name is written too often, wherever it stands.

    Validation compares each pair of equal names that may meet, also in fragments that nobody uses.
    """
    seen: Counter[str] = Counter()
    waiting: list[Any] = list(document.definitions)
    while waiting:
        node = waiting.pop()
        if isinstance(node, FieldNode):
            name = (node.alias or node.name).value
            seen[name] += 1
            if seen[name] > REPEATS:
                raise refusal("QUERY_TOO_COMPLEX", f"The query names one field more than {REPEATS} times.")
        selections = getattr(node, "selection_set", None)
        waiting.extend(selections.selections if selections else ())


def guard(schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any] | None) -> int:
    """The document's cost. Raises GraphQLError with code QUERY_TOO_COMPLEX when it exceeds a limit.

    Cost counts every field, times the size of the lists around it; `first` sets that size, also from variables.
    """
    walk = _Walk(schema, document, variables or {})
    total = 0
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            root = schema.get_root_type(definition.operation)
            if len(definition.selection_set.selections) > ROOT_FIELDS:
                raise refusal("QUERY_TOO_COMPLEX", f"A query has at most {ROOT_FIELDS} fields at its top.")
            walk.defaults = _defaults(definition)
            total += walk.cost(definition.selection_set, root, 1, frozenset(), DEFAULT_LIST)
    return total


def _defaults(operation: OperationDefinitionNode) -> dict[str, object]:
    """The whole numbers that variables stand for when the request gives none."""
    return {
        definition.variable.name.value: int(definition.default_value.value[:9])
        for definition in operation.variable_definitions or ()
        if isinstance(definition.default_value, IntValueNode)
    }


class _Walk:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema, self._variables = schema, variables
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._nodes = self._aliases = 0
        self.defaults: dict[str, object] = {}

    def cost(
        self,
        selections: SelectionSetNode,
        parent: GraphQLNamedType | None,
        depth: int,
        inside: frozenset[str],
        page: int,
    ) -> int:
        if depth > LIMITS.graphql_depth:
            raise refusal("QUERY_TOO_COMPLEX", f"The query is nested deeper than {LIMITS.graphql_depth}.")
        total = 0
        for node in selections.selections:
            self._nodes += 1
            if self._nodes > LIMITS.graphql_nodes:
                raise refusal("QUERY_TOO_COMPLEX", "The query has too many fields.")
            if isinstance(node, FieldNode):
                total += self._field(node, parent, depth, inside, page)
            elif isinstance(node, InlineFragmentNode):
                name = node.type_condition.name.value if node.type_condition else None
                kind = self._schema.get_type(name) if name else parent
                total += self.cost(node.selection_set, kind, depth, inside, page)
            elif isinstance(node, FragmentSpreadNode):
                total += self._spread(node, depth, inside, page)
            if total > LIMITS.graphql_cost:
                raise refusal(
                    "QUERY_TOO_COMPLEX", "The query would cost too much; ask for fewer or smaller pages."
                )
        return total

    def _field(
        self, node: FieldNode, parent: GraphQLNamedType | None, depth: int, inside: frozenset[str], page: int
    ) -> int:
        if node.alias:
            self._aliases += 1
            if self._aliases > LIMITS.graphql_aliases:
                raise refusal("QUERY_TOO_COMPLEX", f"The query has more than {LIMITS.graphql_aliases} aliases.")
        field = getattr(parent, "fields", {}).get(node.name.value)
        if field is None or node.selection_set is None:
            if node.selection_set is None:
                return 1
            return 1 + self.cost(node.selection_set, None, depth + 1, inside, page)
        kind = get_named_type(field.type)
        inner = self._page(node) if kind.name in _PAGED else page
        below = self.cost(node.selection_set, kind, depth + 1, inside, inner)
        many = is_list_type(get_nullable_type(field.type))
        return 1 + below * (inner if many and getattr(parent, "name", "") in _PAGED else 5 if many else 1)

    def _spread(self, node: FragmentSpreadNode, depth: int, inside: frozenset[str], page: int) -> int:
        name = node.name.value
        if name in inside:
            raise refusal("QUERY_TOO_COMPLEX", "The query's fragments run in a circle.")
        fragment = self._fragments.get(name)
        if fragment is None:
            return 0  # validation says so in its own words
        kind = self._schema.get_type(fragment.type_condition.name.value)
        return self.cost(fragment.selection_set, kind, depth, inside | {name}, page)

    def _page(self, node: FieldNode) -> int:
        for argument in node.arguments:
            if argument.name.value == "first":
                value: object = None
                if isinstance(argument.value, IntValueNode):
                    value = int(argument.value.value[:9])
                elif isinstance(argument.value, VariableNode):
                    name = argument.value.name.value
                    value = self._variables.get(name, self.defaults.get(name))
                if isinstance(value, int) and value > 0:
                    return value
        return LIMITS.page // 2
