"""DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or cannot be reached."""

from __future__ import annotations

from typing import Any

from kube_actors.apiserver.admission.chain import PODS, Attempt, Step

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
SECONDS = 300


class DefaultTolerationSeconds(Step):
    """See the module."""

    name = "DefaultTolerationSeconds"
    only = PODS

    async def complete(self, attempt: Attempt) -> None:
        if attempt.operation == "DELETE" or not attempt.concerns("", "pods") or attempt.obj is None:
            return
        tolerations = attempt.obj["spec"].get("tolerations") or []
        missing = [key for key in (NOT_READY, UNREACHABLE) if not _tolerated(tolerations, key)]
        if missing:
            attempt.obj["spec"]["tolerations"] = [
                *tolerations,
                *(
                    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}
                    for key in missing
                ),
            ]


def _tolerated(tolerations: list[dict[str, Any]], key: str) -> bool:
    return any(
        toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")
        for toleration in tolerations
    )
