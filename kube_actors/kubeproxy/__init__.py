"""Services and EndpointSlices become tables of a `netproxy.Proxy`. Names are loaded when they are first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .actor import KubeProxy
    from .plan import Locality

_HOME_OF = {"KubeProxy": "actor", "Locality": "plan"}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


__all__ = ["KubeProxy", "Locality"]
