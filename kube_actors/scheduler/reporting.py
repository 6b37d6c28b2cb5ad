"""Writing down why a pod is not placed: its PodScheduled condition, its nomination, and the end of its victims.

Owns those writes. It decides nothing.
"""

from __future__ import annotations

from typing import Any

import trio

from kube_actors.actors import System
from kube_actors.api import conditions
from kube_actors.api.errors import ApiError
from kube_actors.api.time import format_time
from kube_actors.api.types.core_v1 import Pod
from kube_actors.client import Client, EventRecorder, TransportError

from .diagnosis import event_message
from .framework import Nomination, Verdict
from .pod_info import PodInfo

SCHEDULED = "PodScheduled"


class Reporter:
    def __init__(self, client: Client, recorder: EventRecorder, system: System, writes: trio.CapacityLimiter) -> None:
        self._writes = writes
        self._client = client
        self._recorder = recorder
        self._system = system

    async def unschedulable(self, pod: PodInfo, message: str, nomination: Nomination | None) -> None:
        """No node was found. With a nomination the victims go first: a nomination without room would mislead."""
        node = nomination.node if nomination is not None else pod.nominated_node
        if nomination is not None:
            for victim in nomination.victims:
                await self._evict(victim, pod, node)
        await self._condition(pod, "Unschedulable", message, node)

    async def unbound(self, pod: PodInfo, problem: Verdict) -> None:
        """A node was found, but binding failed."""
        reason = "Unschedulable" if problem.is_rejection else "SchedulerError"
        self._recorder.event(pod.pod, "Warning", "FailedScheduling", event_message(problem.message))
        try:
            await self._condition(pod, reason, problem.message, pod.nominated_node)
        except (ApiError, TransportError) as error:
            # The next try tells it again.
            self._system.story.tell(
                "scheduler", "could not report", uid=pod.uid, key=f"Pod {pod.key}", detail=str(error)
            )

    async def _condition(self, pod: PodInfo, reason: str, message: str, nominated: str) -> None:
        known = conditions.find(pod.pod.status.conditions, SCHEDULED)
        keeps = nominated == pod.nominated_node
        if known is not None and keeps and (known.reason, known.message) == (reason, message):
            return
        condition: dict[str, Any] = {
            "type": SCHEDULED,
            "status": "False",
            "reason": reason,
            "message": message,
            "lastProbeTime": None,
        }
        if known is None or known.status != "False":
            condition["lastTransitionTime"] = format_time(self._system.clock.now())
        if pod.pod.metadata.generation:
            condition["observedGeneration"] = pod.pod.metadata.generation
        status: dict[str, Any] = {"conditions": [condition]}
        if not keeps:
            status["nominatedNodeName"] = nominated or None
        await self._patch(pod, status)

    async def _patch(self, pod: PodInfo, status: dict[str, Any]) -> None:
        """The uid makes sure that it is still the same pod; one that is gone needs no status."""
        body = {"metadata": {"uid": pod.uid}, "status": status}
        try:
            async with self._writes:
                await self._client.patch(
                    Pod, pod.name, body, namespace=pod.namespace, patch_type="strategic", subresource="status"
                )
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise

    async def _evict(self, victim: PodInfo, preemptor: PodInfo, node: str) -> None:
        if victim.terminating:
            return
        scheduler = preemptor.pod.spec.scheduler_name
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": f"{scheduler}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": format_time(self._system.clock.now()),
        }
        await self._patch(victim, {"conditions": [condition]})
        try:
            await self._client.delete(Pod, victim.name, namespace=victim.namespace, uid=victim.uid)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise
            return
        self._recorder.event(
            victim.pod, "Normal", "Preempted", f"Preempted by pod {preemptor.uid} on node {node}", related=preemptor.pod
        )
