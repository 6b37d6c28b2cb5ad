"""Which pods stand behind which Service, at which addresses and ports. Pure; for both kinds of endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kube_actors.api import conditions, selectors
from kube_actors.api.types.core_v1 import ObjectReference, Pod, Service, ServicePort

from . import pods
from .contract import Caches

HEADLESS_LABEL = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


def _label_values(obj: Any) -> list[str]:
    """Where an object stands in the index by labels: once for each label."""
    metadata = obj.metadata
    return [f"{metadata.namespace}/{key}={value}" for key, value in metadata.labels.items()]


class PodsOf:
    """The pods that a selector selects, found by the rarest of the labels that it asks for.

    So what it costs depends on the pods that carry such a label, not on all that there are.
    """

    index: tuple[str, Callable[[Any], Iterable[str]]] = ("label", _label_values)

    def __call__(self, caches: Caches, namespace: str, selector: selectors.Selector) -> tuple[Pod, ...]:
        candidates: Sequence[Pod] | None = None
        for label in exact_labels(selector):
            found = caches.by_index(Pod, self.index[0], f"{namespace}/{label}")
            if candidates is None or len(found) < len(candidates):
                candidates = found
        if candidates is None:
            candidates = caches.list(Pod, namespace)
        return tuple(pod for pod in candidates if selector.matches(pod.metadata.labels))


_EXACT = (selectors.EQUALS, selectors.DOUBLE_EQUALS, selectors.IN)


def exact_labels(selector: selectors.Selector) -> list[str]:
    """The labels, each as key=value, that everything has which a selector selects."""
    return [
        f"{each.key}={each.values[0]}"
        for each in selector.requirements
        if each.operator in _EXACT and len(each.values) == 1
    ]


pods_of = PodsOf()

_SERVICE_INDEX = "selector"


def _one_label(service: Service) -> tuple[str, ...]:
    """One label of those that a Service's selector asks for: every pod that it selects has it."""
    selector = service.spec.selector
    if not is_served(service):
        return ()
    key = min(selector)
    return (f"{service.metadata.namespace}/{key}={selector[key]}",)


BY_SELECTOR = (_SERVICE_INDEX, _one_label)
"""Services by a label of their selector, for whoever asks which Services select a pod."""


def is_served(service: Service) -> bool:
    """Whether the Service's endpoints are the controllers' business: it selects pods, and is no mere name."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def is_headless(service: Service) -> bool:
    return service.spec.cluster_ip in (None, "", "None")


def key_of(obj: Service | Pod) -> str:
    return f"{obj.metadata.namespace}/{obj.metadata.name}"


def services_of(pod: Pod, caches: Caches) -> list[str]:
    """The keys of the Services that select a pod."""
    labels = pod.metadata.labels
    return [
        key_of(service)
        for value in _label_values(pod)
        for service in caches.by_index(Service, _SERVICE_INDEX, value)
        if selectors.from_labels(service.spec.selector).matches(labels)
    ]


def services_of_change(old: Pod | None, new: Pod | None, caches: Caches) -> Iterable[str]:
    """The Services that a change of a pod concerns; none when nothing changed that an endpoint shows."""
    if old is not None and new is not None:
        if _face(old) == _face(new):
            return ()
        if old.metadata.labels != new.metadata.labels:
            return {*services_of(old, caches), *services_of(new, caches)}
    pod = old if new is None else new
    return () if pod is None else services_of(pod, caches)


def _face(pod: Pod) -> tuple[Any, ...]:
    """What of a pod is seen in endpoints."""
    return (
        pod.metadata.labels,
        pod.metadata.deletion_timestamp is None,
        pod.spec.node_name,
        pod.spec.hostname,
        pod.spec.subdomain,
        pods.is_terminal(pod),
        pod.status.pod_ip,
        pod.status.pod_ips,
        pods.is_ready(pod),
    )


def selected(service: Service, caches: Caches) -> tuple[Pod, ...]:
    return pods_of(caches, service.metadata.namespace, selectors.from_labels(service.spec.selector))


def belongs(pod: Pod, *, terminating: bool) -> bool:
    """Whether a pod can be an endpoint at all."""
    if pods.is_terminal(pod) or not addresses_of(pod):
        return False
    return terminating or pod.metadata.deletion_timestamp is None


def addresses_of(pod: Pod) -> tuple[str, ...]:
    found = tuple(entry.ip for entry in pod.status.pod_ips if entry.ip)
    return found or ((pod.status.pod_ip,) if pod.status.pod_ip else ())


def is_ipv6(address: str) -> bool:
    return ":" in address


def families(service: Service) -> tuple[str, ...]:
    """The address types of a Service's slices."""
    if service.spec.ip_families:
        return tuple(service.spec.ip_families)
    return ("IPv6",) if is_ipv6(service.spec.cluster_ip or "") else ("IPv4",)


def of_family(pod: Pod, family: str) -> tuple[str, ...]:
    return tuple(address for address in addresses_of(pod) if is_ipv6(address) == (family == "IPv6"))


def find_port(pod: Pod, port: ServicePort) -> int | None:
    """The number behind a Service's port in one pod; None when the pod has no port of that name."""
    target = port.target_port
    protocol = port.protocol or "TCP"
    if target is None or target in (0, ""):
        return port.port
    if isinstance(target, int):
        return target
    sidecars = (c for c in pod.spec.init_containers if c.restart_policy == "Always")
    for container in (*pod.spec.containers, *sidecars):
        for candidate in container.ports:
            if candidate.name == target and (candidate.protocol or "TCP") == protocol:
                return candidate.container_port
    return None


def hostname_of(pod: Pod, service: Service) -> str | None:
    """The name by which the pod is found under a headless Service."""
    if pod.spec.hostname and pod.spec.subdomain == service.metadata.name:
        return pod.spec.hostname
    return None


def target_of(pod: Pod) -> ObjectReference:
    metadata = pod.metadata
    return ObjectReference(kind="Pod", namespace=metadata.namespace, name=metadata.name, uid=metadata.uid)


def moment_of(pod: Pod) -> str | None:
    """When a pod's readiness changed last."""
    found = conditions.find(pod.status.conditions, "Ready")
    return None if found is None else found.last_transition_time


def latest(service: Service, moments: Iterable[str | None], *, first: bool) -> str | None:
    """The moment of the newest change that endpoints show: a pod's readiness, or the making of the Service."""
    made = service.metadata.creation_timestamp if first else None
    return max((moment for moment in (made, *moments) if moment), default=None)
