"""GraphQL: the centre's public face. The schema is written in schema.graphql; resolvers return plain data."""
