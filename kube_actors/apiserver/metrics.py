"""What the HTTP face counts, and the text in which Prometheus reads it.

Owns counters of requests by verb, resource and code, their latencies in buckets, and how many run. Labels come from
the path only as far as a resource is served, so that no client can make new series without end.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct

from kube_actors.api.messages import AnyRequest, RawRequest, Request

BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0,
           30.0, 45.0, 60.0)  # fmt: skip
"""Upper bounds in seconds, those of kube-apiserver."""
SERIES = 4096
"""Label sets kept for one metric; what goes beyond is counted under `other`."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]
_VERBS = {
    "get": "GET", "list": "LIST", "watch": "WATCH", "create": "POST", "update": "PUT", "patch": "PATCH",
    "delete": "DELETE", "deletecollection": "DELETECOLLECTION", "connect": "CONNECT",
}  # fmt: skip
_OTHER: Labels = (("verb", "other"),)


class Sample(Struct, frozen=True):
    """One value of a family."""

    value: float
    labels: Labels = ()
    suffix: str = ""


class Family(Struct, frozen=True):
    """One metric: name, help, type (counter, gauge, histogram) and its values."""

    name: str
    help: str
    type: str
    samples: tuple[Sample, ...]


class _Histogram:
    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


Series = tuple[Labels, _Histogram | None]
"""Where a kind of request is counted."""


class Metrics:
    """The counters of one HTTP face."""

    def __init__(self) -> None:
        self._requests: dict[Labels, int] = defaultdict(int)
        self._latencies: dict[Labels, _Histogram] = {}
        self._running: dict[Labels, int] = defaultdict(int)
        self._open: dict[Labels, int] = defaultdict(int)
        self._series: dict[tuple[str | int, ...], Series] = {}

    def observe(self, asked: AnyRequest | None, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.count(self.series(asked, method, status), seconds)

    def count(self, series: Series, seconds: float) -> None:
        """As observe, for whoever knows the series already."""
        self._requests[series[0]] += 1
        if series[1] is not None:
            series[1].add(seconds)

    def series(self, asked: AnyRequest | None, method: str, status: int) -> Series:
        """Where such a request is counted."""
        place: tuple[str | int, ...]
        if isinstance(asked, Request):
            scope = "resource" if asked.name else "namespace" if asked.namespace else "cluster"
            place = (asked.verb, asked.group, asked.version, asked.resource, asked.subresource, scope, status)
        else:
            place = (method, status)
        series = self._series.get(place)
        if series is None:
            series = self._found(asked, method, status)
            if len(self._series) < SERIES:
                self._series[place] = series
        return series

    def _found(self, asked: AnyRequest | None, method: str, status: int) -> Series:
        """A series that was not counted in yet."""
        labels = _labels(asked, method)
        coded = _bounded(self._requests, (*labels, ("code", str(status))))
        if isinstance(asked, Request) and asked.verb in ("watch", "connect"):
            return coded, None  # what lasts as long as the client wants says nothing about latency
        kept = _bounded(self._latencies, labels)
        histogram = self._latencies.get(kept)
        if histogram is None:
            histogram = self._latencies[kept] = _Histogram()
        return coded, histogram

    def began(self, asked: AnyRequest) -> None:
        self._running[_kind_of(asked)] += 1

    def ended(self, asked: AnyRequest) -> None:
        self._running[_kind_of(asked)] -= 1

    def opened(self, asked: AnyRequest) -> Callable[[], None]:
        """Count a watch, stream or session; what is returned counts its end."""
        labels = _bounded(self._open, _labels(asked, "GET"))
        self._open[labels] += 1

        def ended() -> None:
            self._open[labels] -= 1

        return ended

    @property
    def watchers(self) -> int:
        """Watches that run."""
        return sum(count for labels, count in self._open.items() if ("verb", "WATCH") in labels)

    def families(self) -> list[Family]:
        """Everything that was counted."""
        return [
            Family(
                "apiserver_request_total",
                "Requests by verb, resource and HTTP response code.",
                "counter",
                _samples(self._requests),
            ),
            Family(
                "apiserver_request_duration_seconds",
                "Response latency in seconds for each verb and resource.",
                "histogram",
                tuple(sample for labels, found in self._latencies.items() for sample in _histogram(labels, found)),
            ),
            Family(
                "apiserver_current_inflight_requests",
                "Requests that are being answered, by whether they may change anything.",
                "gauge",
                _samples(self._running),
            ),
            Family(
                "apiserver_longrunning_requests",
                "Watches, streams and remote commands that are open.",
                "gauge",
                _samples(self._open),
            ),
        ]


def _bounded(series: Mapping[Labels, object], labels: Labels) -> Labels:
    return labels if labels in series or len(series) < SERIES else _OTHER


_READS: Labels = (("request_kind", "readOnly"),)
_WRITES: Labels = (("request_kind", "mutating"),)


def _kind_of(asked: AnyRequest) -> Labels:
    reads = isinstance(asked, RawRequest) or asked.verb in ("get", "list", "watch", "connect")
    return _READS if reads else _WRITES


def _labels(asked: AnyRequest | None, method: str) -> Labels:
    if asked is None or isinstance(asked, RawRequest):
        return (("verb", method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") else "other"),)
    scope = "resource" if asked.name else "namespace" if asked.namespace else "cluster"
    return (
        ("verb", _VERBS[asked.verb]),
        ("group", asked.group),
        ("version", asked.version),
        ("resource", asked.resource),
        ("subresource", asked.subresource.partition("/")[0]),
        ("scope", scope),
    )


def _samples(series: Mapping[Labels, int]) -> tuple[Sample, ...]:
    return tuple(Sample(value, labels) for labels, value in series.items())


def _histogram(labels: Labels, found: _Histogram) -> Iterator[Sample]:
    reached = 0
    for bound, count in zip(BUCKETS, found.counts, strict=False):
        reached += count
        yield Sample(reached, (*labels, ("le", f"{bound:g}")), "_bucket")
    total = sum(found.counts)
    yield Sample(total, (*labels, ("le", "+Inf")), "_bucket")
    yield Sample(found.total, labels, "_sum")
    yield Sample(total, labels, "_count")


def gauge(name: str, help: str, value: float, labels: Labels = ()) -> Family:
    return Family(name, help, "gauge", (Sample(value, labels),))


def render(families: Iterable[Family]) -> bytes:
    """The exposition format."""
    lines: list[str] = []
    for family in families:
        if not family.samples:
            continue
        lines.append(f"# HELP {family.name} {family.help}")
        lines.append(f"# TYPE {family.name} {family.type}")
        for sample in family.samples:
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels)
            lines.append(f"{family.name}{sample.suffix}{'{' + labels + '}' if labels else ''} {sample.value:g}")
    return ("\n".join(lines) + "\n").encode()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
