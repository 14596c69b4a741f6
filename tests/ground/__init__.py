"""Clusters for `make demo-check COMPUTE=…`: root's half of it."""
