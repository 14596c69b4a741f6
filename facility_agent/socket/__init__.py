"""The agent's Unix socket: the gateway's only way to the agent. Both ends speak JSON over HTTP."""
