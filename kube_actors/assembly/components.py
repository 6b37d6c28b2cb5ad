"""How each component is made from a client: used by `Cluster` for the channel, by `kube-actors run` for HTTP.

They are imported with this module: starting a cluster shall be nothing but starting it.
"""

from __future__ import annotations

from kube_actors.actors import Actor, System
from kube_actors.client import Client
from kube_actors.controllers import ControllerManager, Options
from kube_actors.kubeproxy import KubeProxy, Locality
from kube_actors.scheduler import Scheduler
from netproxy.contract import Proxy

from .config import ClusterConfig, seconds


def scheduler(client: Client, system: System) -> Actor:
    return Scheduler(client, system)


def controllers(client: Client, system: System, config: ClusterConfig, root_ca: str) -> Actor:
    wanted = config.controllers
    options = Options(
        controllers=wanted.enabled,
        node_monitor_period=seconds(wanted.node_monitor_period, "controllers.nodeMonitorPeriod"),
        node_monitor_grace_period=seconds(wanted.node_monitor_grace_period, "controllers.nodeMonitorGracePeriod"),
        root_ca=root_ca,
    )
    return ControllerManager(client, system, options)


def cloud(client: Client, system: System) -> Actor:
    from kube_actors.cloud import CloudControllerManager  # lazy: only where it runs

    return CloudControllerManager(client, system)


def proxy(client: Client, system: System, sockets: Proxy, locality: Locality) -> Actor:
    return KubeProxy(client, system, sockets, locality=locality)
