"""The link: orders beside the commits that they cannot do without, envelopes, idle agents, and one that stalls."""

from tests.benchmarks.link.figures import run

__all__ = ["run"]
