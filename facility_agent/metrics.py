"""What the agent counts, in Prometheus' words."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from facility_agent.ports.status import AgentStatus, FeedStatus

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class AgentMetrics:
    """Implements `ports.meters.Meters`. What can be seen at any moment is taken from a status when it is asked for."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        self._orders = Counter(
            "parasol_agent_orders", "Orders answered; the verb is empty for those refused before they were stored.",
            ("verb", "outcome"), registry=self._registry,
        )  # fmt: skip
        self._duplicates = Counter(
            "parasol_agent_orders_duplicate", "Orders that came again and were answered from the store.", ("verb",),
            registry=self._registry,
        )  # fmt: skip
        self._commit = Histogram(
            "parasol_agent_store_commit_seconds",
            "How long a commit took.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._group = Histogram(
            "parasol_agent_store_group_works", "How many works one commit carried.", buckets=_SIZES,
            registry=self._registry,
        )  # fmt: skip
        self._endings = Counter(
            "parasol_agent_link_endings", "Sessions with the hub that ended, each followed by a reconnection.",
            ("reason",), registry=self._registry,
        )  # fmt: skip

    def order(self, verb: str, outcome: str) -> None:
        """An order was settled or refused."""
        self._orders.labels(verb, outcome).inc()

    def duplicate(self, verb: str) -> None:
        """An order came again and was answered from the store."""
        self._duplicates.labels(verb).inc()

    def committed(self, works: int, seconds: float) -> None:
        """The store committed this many works at once."""
        self._group.observe(works)
        self._commit.observe(seconds)

    def ended(self, ending: str) -> None:
        """A session with the hub ended."""
        self._endings.labels(ending).inc()

    def shown(self, status: AgentStatus) -> str:
        """Everything, as Prometheus reads it."""
        seen = CollectorRegistry()
        seen.register(_Seen(status))
        return (generate_latest(self._registry) + generate_latest(seen)).decode()


class _Seen(Collector):
    def __init__(self, status: AgentStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        status = self._status
        yield _gauge("boots", "Starts of an agent on this store.", status.boot_counter)
        yield _gauge("store_fault", "1 while the store cannot be used.", bool(status.store_fault))
        states = GaugeMetricFamily("parasol_agent_workspaces", "Workspaces by state.", labels=("state",))
        for state, count in sorted(status.workspaces.items()):
            states.add_metric((state,), count)
        yield states
        yield _gauge("runs_unowned", "Runs without a row in the store.", len(status.unowned))
        yield _gauge("runs_readable", "1 while the compute backend can list what runs.", status.complete)
        if status.feed is not None:
            yield from _feed(status.feed)
        if status.link is not None:
            link = status.link
            yield _gauge("link_connected", "1 while a session is open.", link.connected_since is not None)
            yield _gauge("link_epoch", "Fencing number of the newest session.", link.epoch)
            if link.round_trip is not None:
                yield _gauge("link_round_trip_seconds", "Round trip of the latest heartbeat.", link.round_trip)
            if link.certificate_s is not None:
                yield _gauge(
                    "certificate_seconds_left", "How long the certificate is good for.", link.certificate_s
                )
        if status.orders is not None:
            orders = status.orders
            yield _gauge("orders_open", "Orders accepted that have no result.", orders.accepted)
            yield _gauge("orders_open_age_seconds", "Age of the oldest of them.", orders.accepted_age)
            yield _gauge("orders_unacknowledged", "Results that the centre has not got.", orders.unacknowledged)
            yield _gauge("orders_unacknowledged_age_seconds", "Age of the oldest.", orders.unacknowledged_age)


def _feed(feed: FeedStatus) -> Iterator[Metric]:
    yield _gauge("open_datasets", "Open datasets that the centre can mirror.", feed.datasets)
    yield _gauge("open_proposals", "Open proposals that the centre can mirror.", feed.proposals)
    yield _gauge("open_metadata_complete", "1 when the latest look saw the whole catalogue.", feed.complete)
    if feed.age is not None:
        yield _gauge("open_metadata_age_seconds", "Time since a look saw the whole catalogue.", feed.age)


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"parasol_agent_{name}", about, value=float(value))
