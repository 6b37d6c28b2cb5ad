"""PodTopologyLabels: a pod that is bound learns the zone and region of its node."""

from __future__ import annotations

from kube_actors.apiserver import encoding
from kube_actors.apiserver.admission.chain import PODS, Attempt, Step

KEYS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
KNOWN_NODES = 10_000
"""Nodes whose labels are kept; one more and all are read anew."""


class PodTopologyLabels(Step):
    """Puts them on the Binding, from which they get to the pod."""

    name = "PodTopologyLabels"
    only = PODS

    def __init__(self) -> None:
        self._labels: dict[str, tuple[int, dict[str, str]]] = {}

    async def complete(self, attempt: Attempt) -> None:
        binding = attempt.obj
        if attempt.operation != "CREATE" or attempt.subresource != "binding" or binding is None:
            return
        if attempt.call.kind.resource.plural != "pods":
            return
        target = binding.get("target") or {}
        if target.get("kind") not in (None, "", "Node") or not target.get("name"):
            return
        labels = await self._labels_of(attempt, target["name"])
        if labels:
            metadata = binding["metadata"]
            metadata["labels"] = {**(metadata.get("labels") or {}), **labels}

    async def _labels_of(self, attempt: Attempt, node: str) -> dict[str, str]:
        entry = await attempt.call.core.store.get(f"/registry/core/nodes/{node}")
        if entry is None:
            return {}
        known = self._labels.get(node)
        if known is not None and known[0] == entry.modified:
            return known[1]
        labels = encoding.decode(entry.value)["metadata"].get("labels") or {}
        found = {key: labels[key] for key in KEYS if key in labels}
        if len(self._labels) >= KNOWN_NODES:
            self._labels.clear()
        self._labels[node] = (entry.modified, found)
        return found
