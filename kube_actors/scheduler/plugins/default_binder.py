"""DefaultBinder: a pod is bound by writing a Binding."""

from __future__ import annotations

from kube_actors.client import Client
from kube_actors.scheduler.framework import Verdict
from kube_actors.scheduler.pod_info import PodInfo


class DefaultBinder:
    name = "DefaultBinder"

    async def bind(self, pod: PodInfo, node: str, client: Client) -> Verdict | None:
        await client.bind(pod.name, node, namespace=pod.namespace, uid=pod.uid)
        return None
