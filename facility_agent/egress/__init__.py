"""The hash-chained log of what left the facility: written before it leaves, read and verified by anybody who has it."""
