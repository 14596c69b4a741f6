"""What the Makefile needs before the project is installed, or around its commands."""
