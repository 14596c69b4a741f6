"""Where data are described."""
