"""Figures of the data: live search over large indexes, the mirror, and how fast files are read."""

from __future__ import annotations

from tests.benchmarks.data import figures

run = figures.run
