"""Pods are placed on nodes. Names are loaded when they are first used.

`Scheduler` is the actor. `Profile`, `default_profile` and `decide` serve those who bring plugins of their own, or ask
where a pod would go without running anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kube_actors._lazy import lazy_names

if TYPE_CHECKING:
    from .actor import Scheduler
    from .cycle import Decision, decide
    from .framework import Code, CycleState, Profile, Verdict
    from .plugins.default_profile import default_plugins, default_profile
    from .pod_info import PodInfo
    from .snapshot import Snapshot

_HOME_OF = {
    "Code": "framework",
    "CycleState": "framework",
    "Decision": "cycle",
    "PodInfo": "pod_info",
    "Profile": "framework",
    "Scheduler": "actor",
    "Snapshot": "snapshot",
    "Verdict": "framework",
    "decide": "cycle",
    "default_plugins": "plugins.default_profile",
    "default_profile": "plugins.default_profile",
}
__getattr__ = lazy_names(__name__, _HOME_OF)


__all__ = [
    "Code",
    "CycleState",
    "Decision",
    "PodInfo",
    "Profile",
    "Scheduler",
    "Snapshot",
    "Verdict",
    "decide",
    "default_plugins",
    "default_profile",
]
