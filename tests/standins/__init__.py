"""Stand-ins for servers that cannot be installed here, written from their specifications; each says what it is."""
