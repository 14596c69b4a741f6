"""The only place, with the two `link` packages, that touches generated code: one module per business word."""
