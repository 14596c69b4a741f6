"""`facility-agent check --probe`: the facility's own systems, tried for real, read only and bounded in time."""
