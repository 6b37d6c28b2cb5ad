"""How much a pod asks for, in the scheduler's integers.

Owns adding up containers, init containers, restartable init containers, pod-level resources and overhead, as
Kubernetes does. Sums are exact (in billionths) and rounded up once, at the end: CPU to thousandths, all else to units.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping

from msgspec import Struct

from kube_actors.api import quantity
from kube_actors.api.types.core_v1 import Container, ContainerStatus, Pod

from . import limits

CPU = "cpu"
MEMORY = "memory"
EPHEMERAL = "ephemeral-storage"
PODS = "pods"
HUGEPAGES = "hugepages-"

DEFAULT_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024
"""What a container without a request counts for when nodes are compared (not when they are filtered)."""

_NATIVE = frozenset({CPU, MEMORY, EPHEMERAL})
_DEFAULTS = {CPU: DEFAULT_CPU * 1_000_000, MEMORY: DEFAULT_MEMORY * 1_000_000_000}

Amounts = dict[str, int]
NO_SCALARS: Mapping[str, int] = {}


class Request(Struct, frozen=True):
    """CPU in thousandths, everything else in units; other resources by name in `scalars`."""

    cpu: int = 0
    memory: int = 0
    ephemeral: int = 0
    scalars: Mapping[str, int] = NO_SCALARS

    @property
    def is_nothing(self) -> bool:
        return not (self.cpu or self.memory or self.ephemeral or self.scalars)


class Demand(Struct, frozen=True):
    """What a pod asks for, and what it counts for when nodes are compared: once it is on a node, and while it is to
    be placed. The two differ for pods that ask as a whole, which Kubernetes overlooks in the second case."""

    request: Request
    nonzero_cpu: int
    nonzero_memory: int
    incoming_cpu: int
    incoming_memory: int
    shape: int
    """The same number for pods that ask for the same: what is worked out for one of them holds for all."""


@functools.lru_cache(maxsize=4096)
def _nanos(text: str | int) -> int:
    return quantity.parse(text).scaled(-9)


def _amounts(resources: Mapping[str, str | int]) -> Amounts:
    return {name: _nanos(text) for name, text in resources.items()}


def _add(into: Amounts, more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        into[name] = into.get(name, 0) + amount


def _raise(into: Amounts, more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        if amount > into.get(name, -1):
            into[name] = amount


def is_restartable(container: Container) -> bool:
    """An init container that keeps running beside the others."""
    return container.restart_policy == "Always"


def _of_container(
    container: Container, status: ContainerStatus | None, defaults: Amounts | None, infeasible: bool
) -> Amounts:
    found = _amounts(container.resources.requests) if container.resources is not None else {}
    if status is not None and status.resources is not None:
        # While a resize is under way the greater of what is wanted and what is had counts.
        if infeasible:
            found = {}
        _raise(found, _amounts(status.resources.requests))
        _raise(found, _amounts(status.allocated_resources))
    if defaults:
        for name, amount in defaults.items():
            found.setdefault(name, amount)
    return found


def _statuses(statuses: Iterable[ContainerStatus]) -> dict[str, ContainerStatus]:
    return {status.name: status for status in statuses}


def _total(pod: Pod, defaults: Amounts | None, *, as_whole: bool = True) -> Amounts:
    spec = pod.spec
    statuses = _statuses(pod.status.container_statuses)
    infeasible = bool(statuses) and _resize_is_infeasible(pod)
    total: Amounts = {}
    for container in spec.containers:
        _add(total, _of_container(container, statuses.get(container.name), defaults, infeasible))
    if spec.init_containers:
        _add_init(pod, total, defaults, infeasible)
    if as_whole and spec.resources is not None:
        for name, text in spec.resources.requests.items():
            if name in (CPU, MEMORY) or name.startswith(HUGEPAGES):
                total[name] = _nanos(text)
    if spec.overhead:
        _add(total, _amounts(spec.overhead))
    return total


def _resize_is_infeasible(pod: Pod) -> bool:
    return any(c.type == "PodResizePending" and c.reason == "Infeasible" for c in pod.status.conditions)


def _add_init(pod: Pod, total: Amounts, defaults: Amounts | None, infeasible: bool) -> None:
    """Restartable ones run beside everything after them; a plain one needs its room only while it runs."""
    statuses = _statuses(pod.status.init_container_statuses)
    running: Amounts = {}
    peak: Amounts = {}
    for container in pod.spec.init_containers:
        restartable = is_restartable(container)
        asked = _of_container(container, statuses.get(container.name) if restartable else None, defaults, infeasible)
        if restartable:
            _add(total, asked)
            _add(running, asked)
            _raise(peak, running)
        else:
            _add(asked, running)
            _raise(peak, asked)
    _raise(total, peak)


def _up(nanos: int, unit: int) -> int:
    return -(-nanos // unit)


def demand_of(pod: Pod) -> Demand:
    """What a pod asks for."""
    total = _total(pod, None)
    request = Request(
        cpu=_up(total.get(CPU, 0), 1_000_000),
        memory=_up(total.get(MEMORY, 0), 1_000_000_000),
        ephemeral=_up(total.get(EPHEMERAL, 0), 1_000_000_000),
        scalars={n: _up(a, 1_000_000_000) for n, a in total.items() if n not in _NATIVE} or NO_SCALARS,
    )
    defaults = _DEFAULTS
    incoming = counted = _total(pod, defaults, as_whole=False)
    if pod.spec.resources is not None and pod.spec.resources.requests:
        # A pod that says what it needs as a whole is taken at its word.
        defaults = {name: amount for name, amount in _DEFAULTS.items() if name not in total}
        counted = _total(pod, defaults) if defaults else total
    return _demand(request, _compared(counted), _compared(incoming))


_shapes: dict[tuple[object, ...], int] = {}
"""Numbers given to shapes. They mean nothing beyond being the same or not."""


def _demand(request: Request, counted: tuple[int, int], incoming: tuple[int, int]) -> Demand:
    scalars = tuple(sorted(request.scalars.items())) if request.scalars else ()
    key = (request.cpu, request.memory, request.ephemeral, scalars, counted, incoming)
    shape = _shapes.get(key)
    if shape is None:
        if len(_shapes) >= limits.SHAPES:
            _shapes.clear()
        shape = _shapes[key] = next(_numbers)
    return Demand(request, *counted, *incoming, shape)


_numbers = itertools.count()


def _compared(total: Amounts) -> tuple[int, int]:
    return _up(total.get(CPU, 0), 1_000_000), _up(total.get(MEMORY, 0), 1_000_000_000)


def allocatable_of(resources: Mapping[str, str | int]) -> tuple[Request, int]:
    """What a node offers: amounts, and how many pods."""
    total = _amounts(resources)
    pods = _up(total.pop(PODS, 0), 1_000_000_000)
    request = Request(
        cpu=_up(total.get(CPU, 0), 1_000_000),
        memory=_up(total.get(MEMORY, 0), 1_000_000_000),
        ephemeral=_up(total.get(EPHEMERAL, 0), 1_000_000_000),
        scalars={name: _up(amount, 1_000_000_000) for name, amount in total.items() if name not in _NATIVE},
    )
    return request, pods
