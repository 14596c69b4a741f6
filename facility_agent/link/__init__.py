"""The agent's end of the link: the gRPC client, its key and token, and the commands under way."""
