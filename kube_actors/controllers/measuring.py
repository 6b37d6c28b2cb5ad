"""What the metrics APIs say, for those who decide by it: resource, custom and external metrics.

Asks the server and reads the answers; keeps nothing and decides nothing. What could not be had is a Missing, whose text
is that of Kubernetes' own client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, json

from kube_actors.api import quantity
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Options, Request
from kube_actors.api.time import parse_time
from kube_actors.client import Client, TransportError

from . import limits
from .replicas import Sample
from .scales import resources_for

RESOURCE = "metrics.k8s.io"
CUSTOM = "custom.metrics.k8s.io"
EXTERNAL = "external.metrics.k8s.io"
_CUSTOM_VERSIONS = ("v1beta2", "v1beta1")

JSONObject = dict[str, Any]
Samples = Mapping[str, Sample]


class Missing(Struct, frozen=True):
    """There is no measurement; text says why."""

    text: str


class Total(Struct, frozen=True):
    """One number, in thousandths."""

    value: int


async def of_resource(
    client: Client, resource: str, container: str, namespace: str, selector: str
) -> Samples | Missing:
    """What the pods that a selector selects, or their containers of one name, use of a resource."""
    head = "unable to fetch metrics from resource metrics API: "
    items = await _items(client, _request(RESOURCE, "v1beta1", namespace, "pods", selector), f"pods.{RESOURCE}", head)
    if isinstance(items, Missing):
        return items
    if not items:
        return Missing("no metrics returned from resource metrics API")
    return _of_containers(items, resource, container)


def _of_containers(items: Sequence[JSONObject], resource: str, container: str) -> Samples | Missing:
    found: dict[str, Sample] = {}
    for item in items:
        name, namespace = item["metadata"]["name"], item["metadata"].get("namespace", "")
        each = [c for c in item.get("containers") or () if not container or c.get("name") == container]
        if container and not each:
            where = f"{namespace}/{name}"
            return Missing(
                f"failed to get container metrics: container {container} not present in metrics for pod {where}"
            )
        usages = [c["usage"][resource] for c in each if resource in (c.get("usage") or {})]
        if usages and len(usages) == len(each):
            total = sum(quantity.milli(usage) for usage in usages)
            found[name] = Sample(total, _moment(item), _seconds(item.get("window")))
    return found


async def of_pods(client: Client, metric: str, namespace: str, selector: str, narrowed: str) -> Samples | Missing:
    """A custom metric of each pod that a selector selects."""
    items = await _custom(client, namespace, "pods", "*", metric, selector, narrowed)
    if isinstance(items, Missing):
        return items
    if not items:
        return Missing("no metrics returned from custom metrics API")
    found = {}
    for item in items:
        seconds = float(item.get("windowSeconds") or limits.METRICS_WINDOW_SECONDS)
        sample = Sample(quantity.milli(item["value"]), _moment(item), seconds)
        found[item["describedObject"]["name"]] = sample
    return found


async def of_object(
    client: Client, metric: str, namespace: str, group: str, kind: str, name: str, narrowed: str
) -> Total | Missing:
    """A custom metric of one object."""
    if (group, kind) == ("", "Namespace"):
        items = await _custom(client, "", "namespaces", name, f"metrics/{metric}", "", narrowed)
    else:
        found = await resources_for(client, group, kind)
        if not found:
            text = f'unable to fetch metrics from custom metrics API: no matches for kind "{kind}" in group "{group}"'
            return Missing(text)
        where = namespace if found[0].namespaced else ""
        items = await _custom(client, where, found[0].name, name, metric, "", narrowed)
    if isinstance(items, Missing):
        return items
    if not items:
        return Missing("unable to fetch metrics from custom metrics API: no metrics returned from custom metrics API")
    return Total(quantity.milli(items[0]["value"]))


async def of_external(client: Client, metric: str, namespace: str, selector: str) -> Total | Missing:
    """The sum of an external metric's series that a selector selects."""
    head = "unable to fetch metrics from external metrics API: "
    request = _request(EXTERNAL, "v1beta1", namespace, metric, selector)
    items = await _items(client, request, f"{metric}.{EXTERNAL}", head)
    if isinstance(items, Missing):
        return items
    if not items:
        return Missing("no metrics returned from external metrics API")
    return Total(sum(quantity.milli(item["value"]) for item in items))


async def _custom(
    client: Client, namespace: str, resource: str, name: str, metric: str, selector: str, narrowed: str
) -> Sequence[JSONObject] | Missing:
    head = "unable to fetch metrics from custom metrics API: "
    try:
        group = json.decode(await client.get_raw(f"/apis/{CUSTOM}"))
        served = [entry["version"] for entry in group["versions"]]
        version = next(each for each in _CUSTOM_VERSIONS if each in served)
    except ApiError as error:
        nobody = f"no custom metrics API ({CUSTOM}) registered"
        return Missing(head + (nobody if error.is_not_found else error.message))
    except StopIteration:
        return Missing(f"{head}no custom metrics API ({CUSTOM}) registered")
    except (TransportError, ValueError, KeyError, TypeError) as error:
        return Missing(f"{head}{error}")
    params = [(key, text) for key, text in (("labelSelector", selector), ("metricLabelSelector", narrowed)) if text]
    request = Request(
        verb="get",
        group=CUSTOM,
        version=version,
        resource=resource,
        namespace=namespace,
        name=name,
        subresource=metric,
        params=tuple(params),
    )
    return await _items(client, request, f"{resource}.{CUSTOM} {name}", head)


def _request(group: str, version: str, namespace: str, resource: str, selector: str) -> Request:
    options = Options(label_selector=selector)
    return Request(verb="list", group=group, version=version, resource=resource, namespace=namespace, options=options)


async def _items(client: Client, request: Request, what: str, head: str) -> Sequence[JSONObject] | Missing:
    try:
        items = json.decode((await client.send(request)).body)["items"]
    except ApiError as error:
        return Missing(head + _text(error, what))
    except (TransportError, ValueError, KeyError, TypeError) as error:
        return Missing(f"{head}{error}")
    return items if isinstance(items, list) else ()


def _text(error: ApiError, what: str) -> str:
    """A refusal in the words of Kubernetes' client, which has some of its own where the server gave no Status."""
    if error.code == 404 and not error.details.name:
        return f"the server could not find the requested resource (get {what})"
    if error.code == 503:
        return f"the server is currently unable to handle the request (get {what})"
    return error.message


def _moment(item: JSONObject) -> float:
    return parse_time(item["timestamp"]) if item.get("timestamp") else 0.0


def _seconds(text: str | None) -> float:
    """A Go duration as metrics servers write it: 15s, 1m0s, 10.062s, 500ms."""
    if not text:
        return limits.METRICS_WINDOW_SECONDS
    seconds, number = 0.0, ""
    for part in text.replace("ms", "u"):
        if part.isdigit() or part == ".":
            number += part
        else:
            seconds += float(number or 0) * {"h": 3600.0, "m": 60.0, "s": 1.0, "u": 0.001}.get(part, 0.0)
            number = ""
    return seconds
