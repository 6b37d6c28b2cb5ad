"""Controllers of kinds that few clusters have objects of: each is loaded when it starts, which is late.

Owns the table of them and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .contract import Controller

if TYPE_CHECKING:
    from .manager import Options


def _loaded(module: str, name: str) -> Callable[[Options], Controller[Any]]:
    """A controller that takes no options."""

    def make(options: Options) -> Controller[Any]:
        found: Controller[Any] = getattr(import_module(f"{__package__}.{module}"), name)()
        return found

    return make


def _binder(options: Options) -> Controller[Any]:
    from .binder import PersistentVolumeBinder  # lazy: as the others here

    return PersistentVolumeBinder(options.volume_binder_period)


CONTROLLERS: dict[str, Callable[[Options], Controller[Any]]] = {
    "job-controller": _loaded("job", "Jobs"),
    "resourceclaim-controller": _loaded("resourceclaims", "ResourceClaims"),
    "persistentvolume-binder-controller": _binder,
    "persistentvolume-expander-controller": _loaded("expansion", "VolumeExpansion"),
    "ephemeral-volume-controller": _loaded("ephemeral", "EphemeralVolumes"),
}
