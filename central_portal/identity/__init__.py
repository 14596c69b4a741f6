"""Who is at the portal, and what they have allowed it to ask at each facility."""
