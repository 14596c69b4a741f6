"""The queues of orders for Prometheus, read from the rows when somebody looks."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from django.db import DatabaseError, close_old_connections
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from central_portal.link import orders

log = logging.getLogger(__name__)


class OrderQueues(Collector):
    """Open orders by facility and state, and the age of each facility's oldest. Runs in the collector's thread."""

    def describe(self) -> list[Metric]:
        """Nothing is read when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What is open now; nothing while the database is away."""
        count = GaugeMetricFamily("parasol_orders_open", "Orders not ended.", labels=["facility", "state"])
        age = GaugeMetricFamily("parasol_order_queue_seconds", "Age of the oldest of them.", labels=["facility"])
        try:
            for facility, queue in orders.queues().items():
                for state, number in queue.states.items():
                    count.add_metric([facility, state], number)
                age.add_metric([facility], max(0.0, time.time() - queue.oldest))
        except DatabaseError as error:
            log.warning("The queues cannot be read: %s", type(error).__name__)
            return
        finally:
            close_old_connections()
        yield count
        yield age
