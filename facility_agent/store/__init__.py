"""The facility's durable state: SQLite for rows, a key file for what is sealed."""
