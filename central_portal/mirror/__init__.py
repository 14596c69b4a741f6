"""Open metadata of every facility, as its agent sends them: what strangers and harvesters read."""
