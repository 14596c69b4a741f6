"""The whole federation on one machine: for a first look, for the journey's check, and for tests in a browser."""
