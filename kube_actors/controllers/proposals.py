"""One metric of an autoscaler: what to ask the metrics APIs, and what the answer proposes, shows and complains of.

Pure but for `ask`, which only puts the question. The arithmetic is `replicas`'.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from kube_actors.api import quantity, selectors
from kube_actors.api.types.autoscaling_v2 import (
    ContainerResourceMetricStatus,
    ExternalMetricStatus,
    HorizontalPodAutoscaler,
    MetricSpec,
    MetricStatus,
    MetricTarget,
    MetricValueStatus,
    ObjectMetricStatus,
    PodsMetricStatus,
    ResourceMetricStatus,
)
from kube_actors.api.types.core_v1 import Pod
from kube_actors.api.types.meta_v1 import LabelSelector
from kube_actors.client import Client

from . import measuring
from .budgets import selector_text
from .measuring import Missing, Samples, Total
from .replicas import Proposal, Rules, Unknown, by_average, by_share, by_total, by_utilization

Reading = Samples | Total | Missing

EMPTY = MetricStatus(type="")
"""What the status shows of a metric that there is nothing to say of."""


class Scene(Struct, frozen=True, kw_only=True):
    """What metrics are judged by: the replicas wanted and there, the pods, and the rules."""

    wanted: int
    there: int
    members: Sequence[Pod]
    rules: Rules
    now: float


class Offer(Struct, frozen=True, kw_only=True):
    """What a metric proposes, its name for people, and its status."""

    replicas: int
    name: str
    status: MetricStatus


class Trouble(Struct, frozen=True, kw_only=True):
    """Why a metric proposes nothing: the reason and text that are told, and the text with its whole context."""

    reason: str
    text: str
    whole: str


async def ask(client: Client, autoscaler: HorizontalPodAutoscaler, spec: MetricSpec, selector: str) -> Reading:
    """Put the question that a metric needs an answer to."""
    namespace = autoscaler.metadata.namespace
    try:
        if spec.type == "Resource" and spec.resource is not None:
            return await measuring.of_resource(client, spec.resource.name, "", namespace, selector)
        if spec.type == "ContainerResource" and spec.container_resource is not None:
            source = spec.container_resource
            return await measuring.of_resource(client, source.name, source.container, namespace, selector)
        if spec.type == "Pods" and spec.pods is not None:
            narrowed = _narrowed(spec.pods.metric.selector)
            return await measuring.of_pods(client, spec.pods.metric.name, namespace, selector, narrowed)
        if spec.type == "Object" and spec.object is not None:
            metric, described = spec.object.metric, spec.object.described_object
            group = (described.api_version or "").rpartition("/")[0]
            return await measuring.of_object(
                client, metric.name, namespace, group, described.kind, described.name, _narrowed(metric.selector)
            )
        if spec.type == "External" and spec.external is not None:
            narrowed = _narrowed(spec.external.metric.selector)
            return await measuring.of_external(client, spec.external.metric.name, namespace, narrowed)
    except selectors.SelectorError as error:
        return Missing(str(error))
    return Missing("")


def _narrowed(selector: LabelSelector | None) -> str:
    return "" if selector is None else str(selectors.compile_selector(selector))


def judge(autoscaler: HorizontalPodAutoscaler, spec: MetricSpec, reading: Reading, scene: Scene) -> Offer | Trouble:
    """What the answer comes to."""
    if spec.type == "Resource" and spec.resource is not None:
        return _resource(spec.resource.name, spec.resource.target, "", reading, scene)
    if spec.type == "ContainerResource" and spec.container_resource is not None:
        source = spec.container_resource
        return _resource(source.name, source.target, source.container, reading, scene)
    if spec.type == "Pods":
        return _pods(spec, reading, scene)
    if spec.type == "Object":
        return _object(autoscaler, spec, reading, scene)
    if spec.type == "External":
        return _external(autoscaler, spec, reading, scene)
    text = f'unknown metric source type "{spec.type}"'
    return Trouble(reason="InvalidMetricSourceType", text=text, whole=text)


def _resource(resource: str, target: MetricTarget, container: str, reading: Reading, scene: Scene) -> Offer | Trouble:
    kind = "ContainerResource" if container else "Resource"
    word = f"{container} container" if container else f"{resource} resource"

    def trouble(text: str) -> Trouble:
        return Trouble(reason=f"FailedGet{kind}Metric", text=text, whole=f"failed to get {word} metric value: {text}")

    raw = target.average_value is not None
    what = "usage" if raw else "utilization"
    if not raw and target.average_utilization is None:
        return trouble(
            "invalid resource metric source: neither an average utilization target nor an average value (usage) target"
            " was set"
        )
    if isinstance(reading, Missing):
        return trouble(
            f"failed to get {resource} {what}: unable to get metrics for resource {resource}: {reading.text}"
        )
    assert not isinstance(reading, Total), "a resource is measured of pods"
    name = f"{resource} resource"
    try:
        if target.average_value is not None:
            wanted = quantity.milli(target.average_value)
            found = by_average(scene.wanted, wanted, resource, scene.members, reading, scene.rules, scene.now)
        else:
            assert target.average_utilization is not None, "looked at above"
            percent = target.average_utilization
            found = by_utilization(
                scene.wanted, percent, resource, container, scene.members, reading, scene.rules, scene.now
            )
            name = f"{resource} {'container ' if container else ''}resource utilization (percentage of request)"
    except Unknown as error:
        return trouble(f"failed to get {resource} {what}: {error}")
    current = MetricValueStatus(average_utilization=found.percent, average_value=_amount(found.value))
    if container:
        shown = ContainerResourceMetricStatus(name=resource, container=container, current=current)
        return Offer(replicas=found.replicas, name=name, status=MetricStatus(type=kind, container_resource=shown))
    status = MetricStatus(type=kind, resource=ResourceMetricStatus(name=resource, current=current))
    return Offer(replicas=found.replicas, name=name, status=status)


def _pods(spec: MetricSpec, reading: Reading, scene: Scene) -> Offer | Trouble:
    assert spec.pods is not None, "validated by the server"
    metric, target = spec.pods.metric, spec.pods.target

    def trouble(text: str) -> Trouble:
        return Trouble(reason="FailedGetPodsMetric", text=text, whole=f"failed to get pods metric value: {text}")

    if isinstance(reading, Missing):
        return trouble(f"unable to get metric {metric.name}: {reading.text}")
    assert not isinstance(reading, Total), "asked of pods"
    try:
        wanted = quantity.milli(target.average_value or "0")
        found = by_average(scene.wanted, wanted, "", scene.members, reading, scene.rules, scene.now)
    except Unknown as error:
        return trouble(str(error))
    shown = PodsMetricStatus(metric=metric, current=MetricValueStatus(average_value=_amount(found.value)))
    name = f"pods metric {metric.name}"
    return Offer(replicas=found.replicas, name=name, status=MetricStatus(type="Pods", pods=shown))


def _object(autoscaler: HorizontalPodAutoscaler, spec: MetricSpec, reading: Reading, scene: Scene) -> Offer | Trouble:
    assert spec.object is not None, "validated by the server"
    metric, target, described = spec.object.metric, spec.object.target, spec.object.described_object

    def trouble(text: str, context: str = "") -> Trouble:
        whole = f"failed to get object metric value: {context}{text}"
        return Trouble(reason="FailedGetObjectMetric", text=text, whole=whole)

    if target.type not in ("Value", "AverageValue"):
        return trouble("invalid object metric source: neither a value target nor an average value target was set")
    share = target.type == "AverageValue"
    context = f"failed to get {metric.name} object metric: " if share else ""
    if isinstance(reading, Missing):
        where = f"{described.kind} on {autoscaler.metadata.namespace} {described.name}"
        return trouble(f"unable to get metric {metric.name}: {where}/{reading.text}", context)
    try:
        found = _of_total(target, reading, scene)
    except Unknown as error:
        return trouble(str(error), context)
    current = _value_status(target, found)
    shown = ObjectMetricStatus(described_object=described, metric=metric, current=current)
    name = f"{described.kind} metric {metric.name}"
    if share:
        name = f"external metric {metric.name}({selector_text(metric.selector)})"
    return Offer(replicas=found.replicas, name=name, status=MetricStatus(type="Object", object=shown))


def _external(autoscaler: HorizontalPodAutoscaler, spec: MetricSpec, reading: Reading, scene: Scene) -> Offer | Trouble:
    assert spec.external is not None, "validated by the server"
    metric, target = spec.external.metric, spec.external.target

    def trouble(text: str, context: str = "") -> Trouble:
        whole = f"failed to get {metric.name} external metric value: {context}{text}"
        return Trouble(reason="FailedGetExternalMetric", text=text, whole=whole)

    if target.average_value is None and target.value is None:
        return trouble("invalid external metric source: neither a value target nor an average value target was set")
    share = target.average_value is not None
    words = f"{metric.name} external metric" if share else f"external metric {metric.name}"
    selector = selector_text(metric.selector)
    if isinstance(reading, Missing):
        what = f"{autoscaler.metadata.namespace}/{metric.name}/{selector}"
        return trouble(f"unable to get external metric {what}: {reading.text}", f"failed to get {words}: ")
    try:
        found = _of_total(target, reading, scene)
    except Unknown as error:
        return trouble(str(error), f"failed to get {words}: ")
    shown = ExternalMetricStatus(metric=metric, current=_value_status(target, found))
    name = f"external metric {metric.name}({selector})"
    return Offer(replicas=found.replicas, name=name, status=MetricStatus(type="External", external=shown))


def _of_total(target: MetricTarget, reading: Samples | Total, scene: Scene) -> Proposal:
    assert isinstance(reading, Total), "asked of one thing"
    if target.average_value is not None:
        return by_share(scene.there, quantity.milli(target.average_value), reading.value, scene.rules)
    return by_total(scene.wanted, quantity.milli(target.value or "0"), reading.value, scene.members, scene.rules)


def _value_status(target: MetricTarget, found: Proposal) -> MetricValueStatus:
    amount = _amount(found.value)
    if target.average_value is not None:
        return MetricValueStatus(average_value=amount)
    return MetricValueStatus(value=amount)


def _amount(milli: int) -> str:
    return str(quantity.from_milli(milli))
