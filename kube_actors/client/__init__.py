"""The one way a component talks to the API: transports, client, informers, work queue, events, leases, kubeconfig.

This package knows no component and never serves anything. Names are loaded when they are first used, so that a
program pays only for what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kube_actors._lazy import lazy_names

if TYPE_CHECKING:
    from .answers import ExecResult, ObjectEvent, ObjectList
    from .cache import Cache
    from .client import Client
    from .config import HTTPConfig
    from .errors import (
        ClientError,
        KubeconfigError,
        LeadershipLost,
        ProtocolError,
        QueueShutDown,
        TransportError,
        TransportTimeout,
        Unavailable,
        UnknownKind,
    )
    from .events import EventRecorder, RecorderStatistics, reference_to
    from .http import HTTPTransport
    from .informer import Handler, Informer, InformerFactory
    from .kinds import key_of, split_key
    from .kubeconfig import Kubeconfig, in_cluster, load_config
    from .leader import ElectionConfig, LeaderElector, elected
    from .ratelimits import ItemBackoff, LimitedBackoff, RateLimiter, TokenBucket
    from .transport import APIMailbox, ChannelTransport, Transport
    from .watching import Watcher
    from .workqueue import QueueStatistics, WorkQueue

_HOMES = {
    "answers": ("ExecResult", "ObjectEvent", "ObjectList"),
    "cache": ("Cache",),
    "client": ("Client",),
    "config": ("HTTPConfig",),
    "errors": (
        "ClientError",
        "KubeconfigError",
        "LeadershipLost",
        "ProtocolError",
        "QueueShutDown",
        "TransportError",
        "TransportTimeout",
        "Unavailable",
        "UnknownKind",
    ),
    "events": ("EventRecorder", "RecorderStatistics", "reference_to"),
    "http": ("HTTPTransport",),
    "informer": ("Handler", "Informer", "InformerFactory"),
    "kinds": ("key_of", "split_key"),
    "kubeconfig": ("Kubeconfig", "in_cluster", "load_config"),
    "leader": ("ElectionConfig", "LeaderElector", "elected"),
    "ratelimits": ("ItemBackoff", "LimitedBackoff", "RateLimiter", "TokenBucket"),
    "transport": ("APIMailbox", "ChannelTransport", "Transport"),
    "watching": ("Watcher",),
    "workqueue": ("QueueStatistics", "WorkQueue"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
__getattr__ = lazy_names(__name__, _HOME_OF)


__all__ = [
    "APIMailbox",
    "Cache",
    "ChannelTransport",
    "Client",
    "ClientError",
    "ElectionConfig",
    "EventRecorder",
    "ExecResult",
    "HTTPConfig",
    "HTTPTransport",
    "Handler",
    "Informer",
    "InformerFactory",
    "ItemBackoff",
    "Kubeconfig",
    "KubeconfigError",
    "LeaderElector",
    "LeadershipLost",
    "LimitedBackoff",
    "ObjectEvent",
    "ObjectList",
    "ProtocolError",
    "QueueShutDown",
    "QueueStatistics",
    "RateLimiter",
    "RecorderStatistics",
    "TokenBucket",
    "Transport",
    "TransportError",
    "TransportTimeout",
    "Unavailable",
    "UnknownKind",
    "Watcher",
    "WorkQueue",
    "elected",
    "in_cluster",
    "key_of",
    "load_config",
    "reference_to",
    "split_key",
]
