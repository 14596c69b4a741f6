"""What an operation asks for below a top-level field, for what is dear to compute."""

from __future__ import annotations

from graphql import FieldNode, FragmentSpreadNode, GraphQLResolveInfo, InlineFragmentNode, SelectionNode


def selects(info: GraphQLResolveInfo, name: str) -> bool:
    """Whether a field of this name may stand directly below the field that is being resolved; directives are not judged."""
    waiting: list[SelectionNode] = []
    for field in info.field_nodes:
        waiting.extend(field.selection_set.selections if field.selection_set else ())
    while waiting:  # validated: fragments do not run in a circle
        node = waiting.pop()
        if isinstance(node, FragmentSpreadNode):
            waiting.extend(info.fragments[node.name.value].selection_set.selections)
        elif isinstance(node, InlineFragmentNode):
            waiting.extend(node.selection_set.selections)
        elif isinstance(node, FieldNode) and node.name.value == name:
            return True
    return False
