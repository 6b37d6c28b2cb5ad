"""Taking a placed pod to its node: Reserve, Permit, PreBind, Bind, PostBind.

Owns that order and what is undone when a step says no. It does not decide what happens to the pod then.
"""

from __future__ import annotations

import trio

from kube_actors.actors import System
from kube_actors.api.errors import ApiError
from kube_actors.client import Client, EventRecorder, TransportError

from . import limits
from .cycle import Decision
from .framework import Code, CycleState, Profile, Verdict
from .pod_info import PodInfo


class Binder:
    """`bound` counts the pods that reached their node."""

    def __init__(self, client: Client, recorder: EventRecorder, system: System, writes: trio.CapacityLimiter) -> None:
        self.bound = 0
        self._writes = writes
        self._client = client
        self._recorder = recorder
        self._story = system.story

    async def bind(self, pod: PodInfo, decision: Decision, profile: Profile) -> Verdict | None:
        """None once the pod is bound; else what stood in the way, with everything reserved given back."""
        state, node = decision.state, decision.node
        for index, plugin in enumerate(profile.reserves):
            verdict = plugin.reserve(state, pod, node)
            if verdict is not None:
                self._unreserve(state, pod, node, profile, index)
                return verdict
        done = False
        try:
            verdict = await self._take(state, pod, node, profile)
            done = verdict is None
        finally:
            if not done:
                self._unreserve(state, pod, node, profile, len(profile.reserves))
        if verdict is not None:
            return verdict
        self.bound += 1
        self._story.tell("scheduler", "bound", uid=pod.uid, key=f"Pod {pod.key}", detail=node)
        self._recorder.event(pod.pod, "Normal", "Scheduled", f"Successfully assigned {pod.key} to {node}")
        for after in profile.post_binds:
            after.post_bind(state, pod, node)
        return None

    def _unreserve(self, state: CycleState, pod: PodInfo, node: str, profile: Profile, count: int) -> None:
        for plugin in reversed(profile.reserves[:count]):
            plugin.unreserve(state, pod, node)

    async def _take(self, state: CycleState, pod: PodInfo, node: str, profile: Profile) -> Verdict | None:
        for permit in profile.permits:
            verdict = await permit.permit(state, pod, node)
            if verdict is not None:
                return verdict
        for attempt in range(1, limits.WRITE_ATTEMPTS + 1):
            try:
                return await self._write(state, pod, node, profile)
            except ApiError as error:
                if attempt == limits.WRITE_ATTEMPTS or not error.is_retriable:
                    return Verdict(Code.ERROR, (str(error),))
            except TransportError as error:
                if attempt == limits.WRITE_ATTEMPTS:
                    return Verdict(Code.ERROR, (str(error),))
            await trio.sleep(limits.WRITE_RETRY_SECONDS)
        raise AssertionError("unreachable: the last attempt returns")

    async def _write(self, state: CycleState, pod: PodInfo, node: str, profile: Profile) -> Verdict | None:
        for before in profile.pre_binds:
            verdict = await before.pre_bind(state, pod, node, self._client)
            if verdict is not None:
                return verdict
        for plugin in profile.binds:
            async with self._writes:
                verdict = await plugin.bind(pod, node, self._client)
            if verdict is None or verdict.code is not Code.SKIP:
                return verdict
        return Verdict(Code.ERROR, ("no plugin binds this pod",))
