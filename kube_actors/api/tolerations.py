"""Whether tolerations outweigh taints, for everybody who asks: scheduler, controllers and nodes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kube_actors.api.types.core_v1 import Taint, Toleration


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether one toleration outweighs one taint."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if (toleration.operator or "Equal") == "Exists":
        return True
    return toleration.operator in (None, "", "Equal") and (toleration.value or "") == (taint.value or "")


def untolerated(taints: Iterable[Taint], tolerations: Sequence[Toleration]) -> Taint | None:
    """The first taint that no toleration outweighs."""
    for taint in taints:
        for toleration in tolerations:
            if tolerates(toleration, taint):
                break
        else:
            return taint
    return None
