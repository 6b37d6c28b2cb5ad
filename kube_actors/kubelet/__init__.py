"""Nodes: they run the pods that are bound to them, on any engine. Names are loaded when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kube_actors._lazy import lazy_names

if TYPE_CHECKING:
    from .config import NodeConfig
    from .dialing import Dialer, RuntimeDialer, SocketDialer
    from .feed import PodFeed, SharedFeed, WatchFeed
    from .node_actor import NodeActor
    from .remote import RemoteNodes
    from .scripted import ScriptedNodes
    from .scripting import ScriptRules
    from .server import NodeServer

_HOME_OF = {
    "Dialer": "dialing",
    "NodeActor": "node_actor",
    "NodeConfig": "config",
    "NodeServer": "server",
    "PodFeed": "feed",
    "RemoteNodes": "remote",
    "RuntimeDialer": "dialing",
    "ScriptRules": "scripting",
    "ScriptedNodes": "scripted",
    "SharedFeed": "feed",
    "SocketDialer": "dialing",
    "WatchFeed": "feed",
}
__getattr__ = lazy_names(__name__, _HOME_OF)


__all__ = [
    "Dialer",
    "NodeActor",
    "NodeConfig",
    "NodeServer",
    "PodFeed",
    "RemoteNodes",
    "RuntimeDialer",
    "ScriptRules",
    "ScriptedNodes",
    "SharedFeed",
    "SocketDialer",
    "WatchFeed",
]
