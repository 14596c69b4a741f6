"""What the core needs of a facility's own systems: small ABCs. No vendor, no framework."""
