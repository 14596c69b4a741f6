"""The hub: the centre's end of the links, and how a command finds its agent."""
