"""How each component is made from a client: used by `Cluster` for the channel, by `kube-actors run` for HTTP.

They are imported with this module: starting a cluster shall be nothing but starting it.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from kube_actors.actors import Actor, System
from kube_actors.client import Client, ElectionConfig
from kube_actors.controllers import ControllerManager, Options
from kube_actors.controllers.manager import CERTIFICATES
from kube_actors.controllers.tokens import Sign
from kube_actors.kubeproxy import KubeProxy, Locality
from kube_actors.scheduler import Scheduler
from netproxy.contract import Proxy

from .config import ClusterConfig, ConfigError, LeaderElectionConfig, seconds

if TYPE_CHECKING:
    from kube_actors.controllers.certificates import Authority

PERIODS = {
    "nodeStartupGracePeriod": "node_startup_grace_period",
    "podGcPeriod": "pod_gc_period",
    "podGcQuarantine": "pod_gc_quarantine",
    "namespaceRetry": "namespace_retry",
    "legacyServiceAccountTokenCleanUpPeriod": "legacy_token_clean_up_period",
    "horizontalPodAutoscalerSyncPeriod": "horizontal_pod_autoscaler_sync_period",
    "horizontalPodAutoscalerCPUInitializationPeriod": "horizontal_pod_autoscaler_cpu_initialization_period",
    "horizontalPodAutoscalerInitialReadinessDelay": "horizontal_pod_autoscaler_initial_readiness_delay",
    "horizontalPodAutoscalerDownscaleStabilization": "horizontal_pod_autoscaler_downscale_stabilization",
    "volumeBinderPeriod": "volume_binder_period",
}
"""Names under `controllers.periods` on file, and the controllers' options that they set."""


LOCAL_CLASS = "local-path"
"""The storage class of nodes that really run containers, unless the configuration names another."""


def scheduler(client: Client, system: System) -> Actor:
    return Scheduler(client, system)


class Keys(Struct, frozen=True):
    """What the controllers sign with, in the process that holds the cluster's keys."""

    authority: Authority | None
    sign_token: Sign | None


def certificates(client: Client, system: System, keys: Keys) -> Actor:
    """Only the controllers that need the cluster's keys, for a cluster whose others run elsewhere."""
    return ControllerManager(
        client,
        system,
        Options(controllers=tuple(sorted(CERTIFICATES)), authority=keys.authority, sign_token=keys.sign_token),
    )


def controllers(
    client: Client,
    system: System,
    config: ClusterConfig,
    root_ca: str,
    keys: Keys | None = None,
    *,
    rivals: bool = False,
) -> Actor:
    """The controllers; with rivals (other processes that may want to act too) they elect a leader by default."""
    wanted = config.controllers
    elects = rivals if wanted.leader_election.leader_elect is None else wanted.leader_election.leader_elect
    options = Options(
        controllers=wanted.enabled,
        node_monitor_period=seconds(wanted.node_monitor_period, "controllers.nodeMonitorPeriod"),
        node_monitor_grace_period=seconds(wanted.node_monitor_grace_period, "controllers.nodeMonitorGracePeriod"),
        cluster_cidr=wanted.cluster_cidr,
        node_cidr_mask_size=wanted.node_cidr_mask_size,
        root_ca=root_ca,
        election=_election(wanted.leader_election, system) if elects else None,
        authority=keys.authority if keys is not None else None,
        sign_token=keys.sign_token if keys is not None else None,
        **_periods(config),
    )
    return ControllerManager(client, system, options)


def _election(wanted: LeaderElectionConfig, system: System) -> ElectionConfig:
    """Whoever restarts gets a new identity, as kube-controller-manager's: his old lease has to run out."""
    field = "controllers.leaderElection"
    return ElectionConfig(
        name=wanted.resource_name,
        namespace=wanted.resource_namespace,
        identity=f"{socket.gethostname()}_{system.entropy.uuid()}",
        duration_seconds=seconds(wanted.lease_duration, f"{field}.leaseDuration"),
        renew_deadline_seconds=seconds(wanted.renew_deadline, f"{field}.renewDeadline"),
        retry_seconds=seconds(wanted.retry_period, f"{field}.retryPeriod"),
    )


def check_controllers(config: ClusterConfig) -> None:
    """Raises ConfigError for a controller or a period that there is not: a component would be started in vain."""
    from kube_actors.controllers import enabled  # lazy: only where they run

    try:
        enabled(config.controllers.enabled)
    except ValueError as error:
        raise ConfigError(f"controllers.enabled: {error}") from None
    _periods(config)


def _periods(config: ClusterConfig) -> dict[str, Any]:
    """The further periods of a configuration ("podGc", "namespaceRetry"), as the controllers' options name them."""
    found: dict[str, Any] = {}
    for name, value in config.controllers.periods.items():
        option = PERIODS.get(name)
        if option is None:
            raise ConfigError(f"controllers.periods: there is no {name!r}; known are {', '.join(PERIODS)}")
        found[option] = seconds(value, f"controllers.periods.{name}")
    return found


def cloud(client: Client, system: System) -> Actor:
    from kube_actors.cloud import CloudControllerManager  # lazy: only where it runs

    return CloudControllerManager(client, system)


def storage(client: Client, system: System, config: ClusterConfig, directory: str) -> Actor:
    """The provisioner; directory "": its nodes mount nothing."""
    from kube_actors.cloud import LocalStorage  # lazy: only where it runs

    name = storage_class(config, real=bool(directory))
    return LocalStorage(client, system, directory=directory, class_name=name, default=config.storage.default)


def storage_class(config: ClusterConfig, *, real: bool) -> str:
    """The name of the class of volumes on this host; "" where there is none."""
    wanted = config.storage.class_name
    if "storage" in config.without:
        return ""
    return wanted if wanted is not None else LOCAL_CLASS if real else ""


def proxy(client: Client, system: System, sockets: Proxy, locality: Locality) -> Actor:
    return KubeProxy(client, system, sockets, locality=locality)
