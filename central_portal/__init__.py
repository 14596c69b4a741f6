"""The centre: web, GraphQL, hub. Imports nothing of a facility's side."""
