"""From two readings of a container's counters to what it uses. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from kube_actors.api import quantity
from kube_actors.api.time import parse_time

from . import limits

_BILLION = 1_000_000_000


class Container(NamedTuple):
    """Whose reading it is."""

    namespace: str
    pod: str
    name: str


class Reading(Struct, frozen=True):
    """Counters of one container at a time: nanoseconds of CPU since its start, bytes in use."""

    time: float
    started: float
    cpu_ns: int
    memory: int


class Pair(Struct, frozen=True):
    """The newest reading, and the one before it."""

    newest: Reading
    before: Reading | None = None


class Usage(Struct, frozen=True, kw_only=True):
    """What a container used: nano-cores over a window that ends at time, and bytes at that time."""

    nano_cores: int
    memory: int
    time: float
    window: float


class Summed(Struct, frozen=True, kw_only=True, rename="camel"):
    """The parts of /stats/summary that are read."""

    class Counter(Struct, frozen=True, kw_only=True, rename="camel"):
        time: str
        usage_core_nano_seconds: int = 0
        working_set_bytes: int = 0

    class Entry(Struct, frozen=True, kw_only=True, rename="camel"):
        name: str
        start_time: str
        cpu: Summed.Counter | None = None
        memory: Summed.Counter | None = None

    class Reference(Struct, frozen=True, kw_only=True):
        name: str
        namespace: str

    class Pod(Struct, frozen=True, kw_only=True, rename="camel"):
        pod_ref: Summed.Reference
        containers: tuple[Summed.Entry, ...] = ()

    pods: tuple[Summed.Pod, ...] = ()


def readings(summary: Summed) -> dict[Container, Reading]:
    """What a node's summary says of each container; half a figure misleads, so it is left out."""
    found = {}
    for pod in summary.pods:
        for entry in pod.containers:
            if entry.cpu is None or entry.memory is None:
                continue
            who = Container(pod.pod_ref.namespace, pod.pod_ref.name, entry.name)
            found[who] = Reading(
                parse_time(entry.cpu.time),
                parse_time(entry.start_time),
                entry.cpu.usage_core_nano_seconds,
                entry.memory.working_set_bytes,
            )
    return found


def paired(known: Mapping[Container, Pair], new: Mapping[Container, Reading]) -> dict[Container, Pair]:
    """The readings with what was known before; another start or a counter that went back is another container."""
    found = {}
    for who, reading in new.items():
        pair = known.get(who)
        if pair is None:
            found[who] = Pair(reading)
        elif reading.time <= pair.newest.time:
            found[who] = pair
        elif reading.started != pair.newest.started or reading.cpu_ns < pair.newest.cpu_ns:
            found[who] = Pair(reading)
        else:
            found[who] = Pair(reading, pair.newest)
    return found


def _earlier(pair: Pair) -> Reading | None:
    """What the newest reading is compared with: the one before, or the container's start."""
    newest = pair.newest
    if pair.before is not None and newest.time - pair.before.time <= limits.OLDEST_SECONDS:
        return pair.before
    if 0.0 < newest.time - newest.started <= limits.OLDEST_SECONDS:
        return Reading(newest.started, newest.started, 0, 0)
    return None


def needs_another(pairs: Iterable[Pair]) -> bool:
    """Whether some of it can only be known after another reading."""
    return any(_earlier(pair) is None for pair in pairs)


def usage(pair: Pair) -> Usage | None:
    """What a container used; None while that cannot be known."""
    earlier, newest = _earlier(pair), pair.newest
    if earlier is None:
        return None
    window = newest.time - earlier.time
    nano_cores = int((newest.cpu_ns - earlier.cpu_ns) / window)
    return Usage(nano_cores=max(0, nano_cores), memory=newest.memory, time=newest.time, window=window)


def amounts(nano_cores: int, memory: int) -> dict[str, str]:
    """As a metrics server writes it."""
    cpu = quantity.Quantity(Decimal(nano_cores) / _BILLION)
    return {"cpu": str(cpu), "memory": str(quantity.Quantity(memory, quantity.BINARY))}


def duration_text(seconds: float) -> str:
    """A duration as Go writes it: 15s, 1m0.5s, 500ms."""
    if 0.0 < seconds < 1.0:
        return f"{round(seconds * 1e6) / 1e3:g}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{round(rest, 3):g}s"
    if minutes or hours:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text
