"""From the moments at which pods were created and seen bound to figures: throughput, samples, latencies, a table.

Pure: it reads no clock and knows no cluster.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

PERCENTS = (50, 90, 95, 99)
SAMPLE_SECONDS = 1.0
SHORTEST_SAMPLE = 0.5
"""The last sample is seldom a whole second; a shorter one than this says more about chance than about speed."""


class Measured(Struct, frozen=True, kw_only=True):
    """What one collection of metrics saw. Times are in seconds since it began."""

    name: str
    threshold: float
    bound_at: Sequence[float]
    latencies: Sequence[float]
    cpu_seconds: float
    memory_bytes: int


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)] if ordered else 0.0


def samples(bound_at: Sequence[float]) -> list[float]:
    """Pods a second, for each second of the collection until the last pod was seen."""
    if not bound_at:
        return []
    end = max(bound_at)
    counts = [0] * (int(end / SAMPLE_SECONDS) + 1)
    for moment in bound_at:
        counts[int(moment / SAMPLE_SECONDS)] += 1
    rest = end - (len(counts) - 1) * SAMPLE_SECONDS
    rates = [count / SAMPLE_SECONDS for count in counts[:-1]]
    if rest >= SHORTEST_SAMPLE or not rates:
        rates.append(counts[-1] / rest if rest > 0 else float(counts[-1]))
    return rates


def figures(measured: Measured) -> dict[str, Any]:
    """Everything that is reported, as plain data."""
    pods = len(measured.bound_at)
    seconds = max(measured.bound_at, default=0.0)
    rates = samples(measured.bound_at)
    average = pods / seconds if seconds else float(pods)
    return {
        "name": measured.name,
        "pods": pods,
        "seconds": seconds,
        "throughput": {"average": average, **_percentiles(rates)},
        "samples": rates,
        "latency": {"average": sum(measured.latencies) / pods if pods else 0.0, **_percentiles(measured.latencies)},
        "cpuSeconds": measured.cpu_seconds,
        "podsPerCPUSecond": pods / measured.cpu_seconds if measured.cpu_seconds else 0.0,
        "memoryBytes": measured.memory_bytes,
        "threshold": measured.threshold,
        "thresholdMet": average >= measured.threshold,
    }


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": percentile(values, percent) for percent in PERCENTS}


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """A row for each collection, for people."""
    rows = [
        f"{'':<44} {'':>7} {'':>7}  {'pods/s':^29}  {'latency in ms':^23}  {'pods/s':>8} {'':>6}",
        f"{'workload':<44} {'pods':>7} {'seconds':>7}  {'average':>8} {'P50':>6} {'P90':>6} {'P99':>6}  "
        f"{'P50':>7} {'P90':>7} {'P99':>7}  {'of CPU':>8} {'MB':>6}",
    ]
    for each in results:
        rate, latency = each["throughput"], each["latency"]
        rows.append(
            f"{each['name']:<44} {each['pods']:>7} {each['seconds']:>7.2f}  "
            f"{rate['average']:>8.0f} {rate['p50']:>6.0f} {rate['p90']:>6.0f} {rate['p99']:>6.0f}  "
            f"{latency['p50'] * 1000:>7.1f} {latency['p90'] * 1000:>7.1f} {latency['p99'] * 1000:>7.1f}  "
            f"{each['podsPerCPUSecond']:>8.0f} {each['memoryBytes'] / 1e6:>6.0f}"
        )
        if each["threshold"]:
            rows.append(f"  threshold {each['threshold']:g} pods/s: {'met' if each['thresholdMet'] else 'missed'}")
    return "\n".join(rows)
