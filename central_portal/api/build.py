"""The schema with its resolvers, and the two ASGI applications that serve it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema, build_schema

from central_portal.api.app import GraphQLOverHTTP
from central_portal.api.context import Services
from central_portal.api.execute import Documents, adopt
from central_portal.api.resolvers import MUTATION, QUERY, SUBSCRIPTION
from central_portal.api.socket import socket_application

SDL = Path(__file__).with_name("schema.graphql")


@dataclass(frozen=True, slots=True)
class Api:
    """ASGI applications for `/graphql`."""

    http: Any
    websocket: Any


def make_schema() -> GraphQLSchema:
    """The schema of schema.graphql; every field of its three root types has a resolver."""
    schema = build_schema(SDL.read_text())
    adopt(schema)
    for root, resolvers in ((schema.query_type, QUERY), (schema.mutation_type, MUTATION)):
        assert root is not None and root.fields.keys() == resolvers.keys()  # noqa: PT018
        for name, resolver in resolvers.items():
            root.fields[name].resolve = resolver
    assert schema.subscription_type is not None
    for name, source in SUBSCRIPTION.items():
        schema.subscription_type.fields[name].subscribe = source
    return schema


def build_api(services: Services) -> Api:
    """Both applications on one schema and one store of documents."""
    schema = make_schema()
    documents = Documents(schema)
    return Api(
        GraphQLOverHTTP(schema, documents, services).__call__,
        socket_application(schema, documents, services),
    )
