"""ImageLocality: a node that has the pod's images already is liked better, by their size and spread."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from kube_actors.scheduler.framework import MAX_SCORE, CycleState
from kube_actors.scheduler.node_info import NodeInfo
from kube_actors.scheduler.pod_info import PodInfo
from kube_actors.scheduler.snapshot import Snapshot

if TYPE_CHECKING:
    from kube_actors.scheduler.arrays.table import Ints, Table

_MEBIBYTE = 1024 * 1024
LEAST = 23 * _MEBIBYTE
"""Less than this is not worth a preference."""
MOST_OF_ONE = 1000 * _MEBIBYTE
"""More than this, times the number of containers, makes no further difference."""


class ImageLocality:
    name = "ImageLocality"

    def score(self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> list[int]:
        wanted, count = images_of(pod)
        total = len(snapshot.nodes)
        known = [(name, snapshot.images[name]) for name in wanted if name in snapshot.images]
        if not known:
            return [0] * len(nodes)
        present = [(name, int(image.size * (image.nodes / total))) for name, image in known]
        most = MOST_OF_ONE * count
        found = []
        for node in nodes:
            images = node.images
            amount = sum(size for name, size in present if name in images)
            amount = min(max(amount, LEAST), most)
            found.append(MAX_SCORE * (amount - LEAST) // (most - LEAST))
        return found

    def score_rows(self, pod: PodInfo, snapshot: Snapshot, table: Table, rows: Ints) -> Ints | None:
        wanted, count = images_of(pod)
        total = len(snapshot.nodes)
        found: Ints | None = None
        for name in wanted:
            image = snapshot.images.get(name)
            if image is not None:
                size = int(image.size * (image.nodes / total))
                there = table.included(("image", name), partial(_has, name))[rows] * size
                found = there if found is None else found + there
        if found is None:
            return None
        most = MOST_OF_ONE * count
        scores: Ints = MAX_SCORE * (found.clip(LEAST, most) - LEAST) // (most - LEAST)
        return scores


def _has(name: str, node: NodeInfo) -> bool:
    return name in node.images


def images_of(pod: PodInfo) -> tuple[list[str], int]:
    """The images of a pod, with a tag, and how many there are."""
    spec = pod.pod.spec
    names = [container.image or "" for container in (*spec.init_containers, *spec.containers)]
    names += [volume.image.reference or "" for volume in spec.volumes if volume.image is not None]
    return [with_tag(name) for name in names], len(names)


def with_tag(name: str) -> str:
    """The name as nodes report it: without a tag it means the latest."""
    return name if name.rfind(":") > name.rfind("/") else name + ":latest"
