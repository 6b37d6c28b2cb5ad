"""Services and EndpointSlices become tables of a `netproxy.Proxy`. Names are loaded when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kube_actors._lazy import lazy_names

if TYPE_CHECKING:
    from .actor import KubeProxy
    from .plan import Locality

_HOME_OF = {"KubeProxy": "actor", "Locality": "plan"}
__getattr__ = lazy_names(__name__, _HOME_OF)


__all__ = ["KubeProxy", "Locality"]
