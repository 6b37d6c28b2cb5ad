"""Nodes: they run the pods that are bound to them, on any engine. Names are loaded when they are first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import NodeConfig
    from .dialing import Dialer, RuntimeDialer, SocketDialer
    from .feed import PodFeed, SharedFeed, WatchFeed
    from .node_actor import NodeActor
    from .remote import RemoteNodes
    from .server import NodeServer

_HOME_OF = {
    "Dialer": "dialing",
    "NodeActor": "node_actor",
    "NodeConfig": "config",
    "NodeServer": "server",
    "PodFeed": "feed",
    "RemoteNodes": "remote",
    "RuntimeDialer": "dialing",
    "SharedFeed": "feed",
    "SocketDialer": "dialing",
    "WatchFeed": "feed",
}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


__all__ = [
    "Dialer",
    "NodeActor",
    "NodeConfig",
    "NodeServer",
    "PodFeed",
    "RemoteNodes",
    "RuntimeDialer",
    "SharedFeed",
    "SocketDialer",
    "WatchFeed",
]
