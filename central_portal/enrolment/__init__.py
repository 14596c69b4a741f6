"""Who takes part, and with which keys: facilities as rows, the centre's certificate authority, agents' certificates."""
