"""Nodes and load balancers of a cloud, or of this host. Names are loaded when they are first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .actor import CloudControllerManager
    from .contract import Instance, InstanceGone, Instances, LoadBalancers, Provider, ProviderError
    from .providers.local import LocalProvider

_HOME_OF = {
    "CloudControllerManager": "actor",
    "Instance": "contract",
    "InstanceGone": "contract",
    "Instances": "contract",
    "LoadBalancers": "contract",
    "LocalProvider": "providers.local",
    "Provider": "contract",
    "ProviderError": "contract",
}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


__all__ = [
    "CloudControllerManager",
    "Instance",
    "InstanceGone",
    "Instances",
    "LoadBalancers",
    "LocalProvider",
    "Provider",
    "ProviderError",
]
