"""What workspaces run on."""
