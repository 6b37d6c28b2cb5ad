"""PrioritySort: higher priority first, then who came first."""

from __future__ import annotations

from typing import Any

from kube_actors.scheduler.pod_info import PodInfo


class PrioritySort:
    name = "PrioritySort"

    def sort_key(self, pod: PodInfo, since: float) -> tuple[Any, ...]:
        return (-pod.priority, since)
