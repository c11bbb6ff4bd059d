"""What a node counts, for Prometheus."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

SECONDS = (0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600, 3600, 10800)
"""From a look-up to the longest call that is waited for."""


class Metrics:
    """The counts of one node, from zero at each start. `hosts` says how many hosts have which status."""

    def __init__(self, ready: Callable[[], bool], hosts: Callable[[], Mapping[str, int]]) -> None:
        self._registry = CollectorRegistry()
        calls = Counter(
            "sealift_api_calls", "API calls that were answered, by the error's code or ok", ("api", "outcome"),
            registry=self._registry,
        )  # fmt: skip
        seconds = Histogram(
            "sealift_api_call_seconds", "How long answering took", ("api",), buckets=SECONDS, registry=self._registry
        )
        # Kept, because finding what belongs to labels takes longer than counting. Calls and codes are few.
        self._calls, self._seconds = cache(calls.labels), cache(seconds.labels)
        self._running = Gauge("sealift_api_calls_running", "API calls being answered now", registry=self._registry)
        node = Gauge("sealift_node_ready", "1 while this node takes calls", registry=self._registry)
        node.set_function(lambda: float(ready()))
        self._registry.register(_Hosts(hosts))
        ProcessCollector(registry=self._registry)

    @contextmanager
    def call(self, api: str) -> Iterator[list[str]]:
        """Count one call. Whatever is put into the list is its outcome; nothing is `ok`."""
        began, outcome = perf_counter(), list[str]()
        with self._running.track_inprogress():
            yield outcome
        self._calls(api, outcome[0] if outcome else "ok").inc()
        self._seconds(api).observe(perf_counter() - began)

    def exposed(self) -> bytes:
        """All of it in Prometheus' text format. Asks the database."""
        return generate_latest(self._registry)


class _Hosts(Collector):
    def __init__(self, hosts: Callable[[], Mapping[str, int]]) -> None:
        self._hosts = hosts

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Without asking the database, which may not be there yet."""
        yield GaugeMetricFamily("sealift_hosts", "")

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("sealift_hosts", "Hosts in the inventory", labels=["status"])
        for status, number in self._hosts().items():
            family.add_metric([status], number)
        yield family
