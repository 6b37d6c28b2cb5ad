"""Nodes and load balancers of a cloud, or of this host. Names are loaded when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kube_actors._lazy import lazy_names

if TYPE_CHECKING:
    from .actor import CloudControllerManager
    from .contract import Instance, InstanceGone, Instances, LoadBalancers, Provider, ProviderError
    from .providers.local import LocalProvider
    from .storage import LocalStorage

_HOME_OF = {
    "CloudControllerManager": "actor",
    "Instance": "contract",
    "InstanceGone": "contract",
    "Instances": "contract",
    "LoadBalancers": "contract",
    "LocalProvider": "providers.local",
    "LocalStorage": "storage",
    "Provider": "contract",
    "ProviderError": "contract",
}
__getattr__ = lazy_names(__name__, _HOME_OF)


__all__ = [
    "CloudControllerManager",
    "Instance",
    "InstanceGone",
    "Instances",
    "LoadBalancers",
    "LocalProvider",
    "LocalStorage",
    "Provider",
    "ProviderError",
]
