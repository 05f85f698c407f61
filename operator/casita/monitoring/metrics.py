"""The cache's metrics: counted from its packets, and read where it lies at each scrape."""

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from casita.monitoring.packets import FileClose, PacketError, Summary, read_events, read_summary

logger: Final = logging.getLogger("casita.monitoring")

EVENTS: Final = "events"
SUMMARY: Final = "summary"

_SERVER: Final = {
    "opens": "Opens of files, by clients.",
    "logins": "Clients that began to log in.",
    "authenticated": "Clients whose token was accepted at login.",
    "auth_failures": "Clients whose token was refused at login.",
    "errors": "Requests that were answered with an error.",
    "connected": "Connections that were made.",
    "received_bytes": "Bytes from clients.",
    "sent_bytes": "Bytes to clients.",
    "origin_opens": "Opens of files at the origin.",
    "origin_open_errors": "Opens of files at the origin that failed.",
}


class CacheMetrics:
    """Metrics of one cache, on a registry of their own.

    Args:
        folder: where the cached files are.
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, folder: Path, monotonic: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.summary: Summary | None = None
        self._heard: float | None = None
        self._monotonic = monotonic
        self._accesses = self._counter(
            "accesses", "Files that were closed: hit if nothing came from the origin.", "result"
        )
        self._bytes = self._counter(
            "bytes", "Bytes that clients read, by where they were; stored are written.", "kind"
        )
        self._checksum_errors = Counter(
            "casita_xcache_checksum_errors_total",
            "Cached blocks whose checksum was wrong.",
            registry=self.registry,
        )
        self._packets = self._counter("packets", "Packets from the cache.", "stream", "result")
        self._origin = Gauge(
            "casita_xcache_origin_up",
            "Whether the origin answers as an XRootD server does.",
            ["origin"],
            registry=self.registry,
        )
        for result in ("hit", "miss"):
            self._accesses.labels(result=result)
        for kind in ("hit", "miss", "bypass", "stored"):
            self._bytes.labels(kind=kind)
        for stream in (EVENTS, SUMMARY):
            for result in ("read", "malformed"):
                self._packets.labels(stream=stream, result=result)
        self.registry.register(_Disk(folder))
        self.registry.register(_Server(lambda: self.summary, self._silence))

    def take(self, stream: str, packet: bytes) -> None:
        """Count what a packet tells; one that is malformed is counted as that alone."""
        try:
            if stream == EVENTS:
                for close in read_events(packet):
                    self._count(close)
            else:
                self.take_summary(read_summary(packet))
        except PacketError as error:
            logger.warning("a packet of the %s stream is malformed: %s", stream, error)
            self._packets.labels(stream=stream, result="malformed").inc()
        else:
            self._packets.labels(stream=stream, result="read").inc()

    def take_summary(self, summary: Summary) -> None:
        """Keep what the server counted."""
        self.summary = summary
        self._heard = self._monotonic()

    def tell_origin(self, origin: str, *, up: bool) -> None:
        """Keep whether the origin answered."""
        self._origin.labels(origin=origin).set(int(up))

    def _count(self, close: FileClose) -> None:
        self._accesses.labels(result="miss" if close.fetched else "hit").inc()
        for kind in ("hit", "miss", "bypass", "stored"):
            self._bytes.labels(kind=kind).inc(getattr(close, kind))
        self._checksum_errors.inc(close.checksum_errors)

    def _silence(self) -> float | None:
        return None if self._heard is None else self._monotonic() - self._heard

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"casita_xcache_{name}_total", text, labels, registry=self.registry)


class _Disk(Collector):
    """The file system that the cached files are on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Yield what is used and what there is."""
        found = os.statvfs(self._folder)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        size = found.f_blocks * found.f_frsize
        family = GaugeMetricFamily(
            "casita_xcache_disk_bytes",
            "The file system of the cached files: what is used of it, and its size.",
            labels=["state"],
        )
        family.add_metric(["used"], used)
        family.add_metric(["size"], size)
        yield family


class _Server(Collector):
    """The server's own counters, which begin anew with it as Prometheus' counters may."""

    def __init__(
        self, summary: Callable[[], Summary | None], silence: Callable[[], float | None]
    ) -> None:
        self._summary = summary
        self._silence = silence

    def collect(self) -> Iterable[Metric]:
        """Yield the counters of the last summary; nothing before the first."""
        summary, silence = self._summary(), self._silence()
        if summary is None or silence is None:
            return
        for name, text in _SERVER.items():
            if name in summary.counters:
                yield CounterMetricFamily(
                    f"casita_xcache_{name}", text, value=summary.counters[name]
                )
        yield GaugeMetricFamily(
            "casita_xcache_connections",
            "Connections that are open.",
            value=summary.counters.get("connections", 0),
        )
        yield GaugeMetricFamily(
            "casita_xcache_silence_seconds",
            "Time since the cache last told its counters, which it does every 10 s.",
            value=silence,
        )
