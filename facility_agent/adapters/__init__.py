"""One module per vendor; each is found by its entry point."""
