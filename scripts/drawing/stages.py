"""docs/pod-lifecycle.svg: the stages of a pod and of its containers, as the kubelet's transition table has them."""

from __future__ import annotations

from enum import Enum

from kube_actors.kubelet.model import PodStage, Stage

from .exploring import RULE, explore
from .lanes import Column
from .svg import Sheet

NOTES: dict[Enum, str] = {
    PodStage.PREPARING: "making volumes",
    PodStage.SANDBOXING: "making the sandbox",
    PodStage.RUNNING: "containers run",
    PodStage.STOPPING: "containers end",
    PodStage.FINISHED: "the object stands",
    PodStage.CLEANING: "removing it all",
    PodStage.FINALIZING: "removing the object",
    Stage.WAITING: "not its turn yet",
    Stage.HOOKING: "postStart hook",
    Stage.STOPPING: "told to end",
    Stage.BACKOFF: "again later",
    Stage.EXITED: "for good",
}

MARGIN = 24
HEAD = 92


def draw() -> str:
    of_pods, of_containers = explore()
    pod, container = Column(of_pods, list(PodStage), NOTES), Column(of_containers, list(Stage), NOTES)
    width = max(pod.width, container.width) + 2 * MARGIN
    height = HEAD + pod.height + 60 + container.height + MARGIN
    title = "The life of a pod on its node"
    sheet = Sheet(width, height, title, "the transition table in kube_actors/kubelet/machine.py")
    sheet.text(MARGIN, 34, title, "title")
    sheet.text(MARGIN, 56, "Words at arrows are events. A line with dots is one event for several stages.", "note")
    sheet.text(MARGIN, 74, f"Dashed ({RULE}): no event of its own; lifecycle.advance sees that it is time.", "note")
    pod.draw(sheet, (width - pod.width) // 2, HEAD)
    below = HEAD + pod.height + 60
    sheet.text(MARGIN, below - 18, "Each of its containers meanwhile", "title")
    container.draw(sheet, (width - container.width) // 2, below)
    return sheet.render()
