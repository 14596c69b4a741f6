"""The facility's own web door: sign-in, account links, grants, and the way into workspaces."""
