"""The two ends of a link as state machines without I/O, and the pump that joins one to a stream."""
