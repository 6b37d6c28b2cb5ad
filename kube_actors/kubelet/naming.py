"""How pods and containers are marked in an engine, so that another process recognises them. Pure."""

from __future__ import annotations

from kube_actors.api.types.core_v1 import ObjectReference, Pod

NODE = "io.kube-actors.node"
POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
PORTS = "io.kubernetes.container.ports"
RESTARTS = "io.kubernetes.container.restartCount"
MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"


def pod_labels(node: str, pod: Pod) -> dict[str, str]:
    metadata = pod.metadata
    return {
        NODE: node,
        POD_NAME: metadata.name,
        POD_NAMESPACE: metadata.namespace,
        POD_UID: metadata.uid,
    }


def container_labels(node: str, pod: Pod, container: str) -> dict[str, str]:
    return {**pod_labels(node, pod), CONTAINER_NAME: container}


def reference_to(pod: Pod, container: str = "") -> ObjectReference:
    """What an event about a pod, or one of its containers, names."""
    metadata = pod.metadata
    path = None
    if container:
        group = "containers"
        if any(one.name == container for one in pod.spec.init_containers):
            group = "initContainers"
        elif any(one.name == container for one in pod.spec.ephemeral_containers):
            group = "ephemeralContainers"
        path = f"spec.{group}{{{container}}}"
    return ObjectReference(
        api_version="v1",
        kind="Pod",
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version or None,
        field_path=path,
    )
