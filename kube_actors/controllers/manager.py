"""All controllers under one roof: shared caches, one supervised actor each, switched on and off by name.

Owns which controllers there are and the options that people may set. What a controller does stands in its own file.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import trio
from msgspec import Struct

from kube_actors.actors import RestartPolicy, Supervisor, System, idle_moment, open_supervisor
from kube_actors.client import Client, ElectionConfig, EventRecorder, InformerFactory, LeaderElector, elected

from . import limits, nodes, podgc, rare
from .aggregation import ClusterRoleAggregation
from .caches import SharedCaches
from .collector import CollectorFeed, GarbageCollector
from .contract import Controller
from .daemonset import DaemonSets
from .deployment import Deployments
from .disruption import Disruptions
from .endpoints import EndpointsObjects
from .endpointslice import EndpointSlices
from .eviction import TaintEviction
from .mirroring import Mirroring
from .namespace import Namespaces
from .protection import AttributesClassProtection, ClaimProtection, VolumeProtection
from .quota import ResourceQuotas
from .quota_feed import QuotaFeed
from .replicaset import ReplicaSets, ReplicationControllers
from .runner import CacheFeed, Feed, Runner
from .serviceaccount import RootCertificates, ServiceAccounts
from .servicecidr import ServiceCIDRs
from .statefulset import StatefulSets
from .tokens import ServiceAccountTokens, Sign
from .ttl import NodeTTL

if TYPE_CHECKING:
    from .certificates import Authority

# A controller that one object makes fail keeps being tried, ever more slowly, and its siblings go on.
_PATIENT = RestartPolicy(restart="always", limit=None)


class Options(Struct, frozen=True, kw_only=True):
    """controllers: "*" for all that are on by default, a name for one, "-name" for not that one. Periods in seconds.

    root_ca is the PEM text that every namespace gets in ConfigMap kube-root-ca.crt; "" for none. Without sign_token
    nobody fills Secrets of type kubernetes.io/service-account-token, without authority nobody signs certificates.
    """

    controllers: tuple[str, ...] = ("*",)
    node_monitor_period: float = limits.NODE_MONITOR_PERIOD_SECONDS
    node_monitor_grace_period: float = limits.NODE_MONITOR_GRACE_SECONDS
    node_startup_grace_period: float = limits.NODE_STARTUP_GRACE_SECONDS
    node_eviction_rate: float = limits.NODE_EVICTION_RATE
    secondary_node_eviction_rate: float = limits.NODE_SECONDARY_EVICTION_RATE
    unhealthy_zone_threshold: float = limits.UNHEALTHY_ZONE_FRACTION
    large_cluster_size_threshold: int = limits.LARGE_ZONE_NODES
    pod_gc_period: float = limits.POD_GC_PERIOD_SECONDS
    pod_gc_quarantine: float = limits.POD_GC_QUARANTINE_SECONDS
    terminated_pod_gc_threshold: int = limits.TERMINATED_POD_THRESHOLD
    namespace_retry: float = limits.NAMESPACE_RETRY_SECONDS
    cluster_cidr: str = limits.CLUSTER_CIDR
    node_cidr_mask_size: int = limits.NODE_CIDR_MASK
    legacy_token_clean_up_period: float = limits.LEGACY_TOKEN_SECONDS
    horizontal_pod_autoscaler_sync_period: float = limits.HPA_SYNC_SECONDS
    horizontal_pod_autoscaler_tolerance: float = limits.HPA_TOLERANCE
    horizontal_pod_autoscaler_cpu_initialization_period: float = limits.HPA_CPU_INITIALIZATION_SECONDS
    horizontal_pod_autoscaler_initial_readiness_delay: float = limits.HPA_INITIAL_READINESS_SECONDS
    horizontal_pod_autoscaler_downscale_stabilization: float = limits.HPA_DOWNSCALE_STABILIZATION_SECONDS
    volume_binder_period: float = limits.BINDER_PERIOD_SECONDS
    root_ca: str = ""
    authority: Authority | None = None
    sign_token: Sign | None = None
    election: ElectionConfig | None = None
    max_unavailable_stateful_set: bool = False
    """Kubernetes' gate of that name."""


def _node_settings(options: Options) -> nodes.Settings:
    return nodes.Settings(
        period=options.node_monitor_period,
        grace=options.node_monitor_grace_period,
        startup_grace=options.node_startup_grace_period,
        rate=options.node_eviction_rate,
        secondary_rate=options.secondary_node_eviction_rate,
        threshold=options.unhealthy_zone_threshold,
        large=options.large_cluster_size_threshold,
    )


def _pod_gc_settings(options: Options) -> podgc.Settings:
    return podgc.Settings(
        period=options.pod_gc_period,
        quarantine=options.pod_gc_quarantine,
        threshold=options.terminated_pod_gc_threshold,
    )


def _signer(options: Options) -> Sign:
    assert options.sign_token is not None, "the manager leaves the token controller out when nobody can sign"
    return options.sign_token


def _policy_types() -> Controller[Any]:
    from .policytypes import PolicyTypes  # lazy: its types take milliseconds that a cluster's start has not

    return PolicyTypes()


def _autoscalers(options: Options) -> Controller[Any]:
    from .autoscaler import Autoscalers, Settings  # lazy: its types take milliseconds that a cluster's start has not

    return Autoscalers(
        Settings(
            period=options.horizontal_pod_autoscaler_sync_period,
            tolerance=options.horizontal_pod_autoscaler_tolerance,
            cpu_initialization=options.horizontal_pod_autoscaler_cpu_initialization_period,
            initial_readiness=options.horizontal_pod_autoscaler_initial_readiness_delay,
            downscale_window=options.horizontal_pod_autoscaler_downscale_stabilization,
        )
    )


def _certificates() -> ModuleType:
    from . import certificates  # lazy: their kinds are loaded where somebody signs

    return certificates


TOKENS = "serviceaccount-token-controller"
CERTIFICATES = frozenset(
    {
        "certificatesigningrequest-signing-controller",
        "certificatesigningrequest-approving-controller",
        "certificatesigningrequest-cleaner-controller",
    }
)
"""The controllers that are of no use without the cluster's authority."""

CONTROLLERS: dict[str, Callable[[Options], Controller[Any]]] = {
    "namespace-controller": lambda options: Namespaces(options.namespace_retry),
    "serviceaccount-controller": lambda options: ServiceAccounts(),
    "root-ca-certificate-publisher-controller": lambda options: RootCertificates(options.root_ca),
    "deployment-controller": lambda options: Deployments(),
    "replicaset-controller": lambda options: ReplicaSets(),
    "replicationcontroller-controller": lambda options: ReplicationControllers(),
    "daemonset-controller": lambda options: DaemonSets(),
    "statefulset-controller": lambda options: StatefulSets(options.max_unavailable_stateful_set),
    "endpointslice-controller": lambda options: EndpointSlices(),
    "endpointslice-mirroring-controller": lambda options: Mirroring(),
    "endpoints-controller": lambda options: EndpointsObjects(),
    "garbage-collector-controller": lambda options: GarbageCollector(),
    "node-lifecycle-controller": lambda options: nodes.NodeLifecycle(_node_settings(options)),
    "ttl-controller": lambda options: NodeTTL(),
    "taint-eviction-controller": lambda options: TaintEviction(),
    "disruption-controller": lambda options: Disruptions(),
    "persistentvolumeclaim-protection-controller": lambda options: ClaimProtection(),
    "persistentvolume-protection-controller": lambda options: VolumeProtection(),
    "volumeattributesclass-protection-controller": lambda options: AttributesClassProtection(),
    "clusterrole-aggregation-controller": lambda options: ClusterRoleAggregation(),
    "service-cidr-controller": lambda options: ServiceCIDRs(),
    "resourcequota-controller": lambda options: ResourceQuotas(),
    "validatingadmissionpolicy-status-controller": lambda options: _policy_types(),
    "horizontal-pod-autoscaler-controller": _autoscalers,
    TOKENS: lambda options: ServiceAccountTokens(options.root_ca, _signer(options)),
    "certificatesigningrequest-signing-controller": lambda options: _certificates().Signing(options.authority),
    "certificatesigningrequest-approving-controller": lambda options: _certificates().Approving(options.authority),
    "certificatesigningrequest-cleaner-controller": lambda options: _certificates().Cleaning(),
    "pod-garbage-collector-controller": lambda options: podgc.PodGarbageCollector(_pod_gc_settings(options)),
}


CONTROLLERS |= rare.CONTROLLERS

LATE = frozenset(
    {
        "daemonset-controller",
        "statefulset-controller",
        "disruption-controller",
        "persistentvolumeclaim-protection-controller",
        "persistentvolume-protection-controller",
        "volumeattributesclass-protection-controller",
        "clusterrole-aggregation-controller",
        "service-cidr-controller",
        "resourcequota-controller",
        "validatingadmissionpolicy-status-controller",
        "horizontal-pod-autoscaler-controller",
        TOKENS,
    }
    | CERTIFICATES
    | rare.CONTROLLERS.keys()
)
"""Controllers of kinds that a young cluster has none of: they start a moment later, not to weigh on its start."""


def known_controllers() -> tuple[str, ...]:
    """The names that Options.controllers may hold."""
    return tuple(CONTROLLERS)


def _absent(name: str) -> frozenset[str]:
    """Controllers that may be named though there is no such: only to say that they shall not run."""
    return rare.ELSEWHERE if name.startswith("-") else frozenset()


def enabled(names: tuple[str, ...]) -> tuple[str, ...]:
    """The controllers that a list like ("*", "-x") switches on; "*" is all those that are on by default.

    Raises ValueError for a name that is none.
    """
    known = known_controllers()
    for name in names:
        if name != "*" and name.removeprefix("-") not in known and name.removeprefix("-") not in _absent(name):
            raise ValueError(f"{name.removeprefix('-')!r} is not in the list of known controllers")
    usual = set(known) - rare.OFF_BY_DEFAULT if "*" in names else set()
    return tuple(name for name in known if f"-{name}" not in names and (name in names or name in usual))


class ControllerManager:
    """Runs the controllers; an actor."""

    def __init__(self, client: Client, system: System, options: Options = Options()) -> None:  # noqa: B008 - frozen
        self.options = options
        idle = {TOKENS} if options.sign_token is None else set()
        idle |= CERTIFICATES if options.authority is None else set()
        self.names = tuple(name for name in enabled(options.controllers) if name not in idle)
        self._client = client
        self._system = system
        self._runners: dict[str, Runner] = {}
        self._supervisor: Supervisor | None = None
        self.started = trio.Event()

    async def run(self) -> None:
        """Run until cancelled; with an election only while this is the leader."""
        if self.options.election is None:
            await self._run()
            return
        elector = LeaderElector(self._client, self._system, self.options.election)
        async with elected(elector):
            await self._run()

    async def _run(self) -> None:
        factory = InformerFactory(self._client, self._system)
        caches = SharedCaches(factory)
        feeds = [self._feed(name, caches) for name in self.names if name not in LATE]
        async with open_supervisor("controllers", self._system) as supervisor:
            self._supervisor = supervisor
            supervisor.start("controllers/informers", lambda: factory, _PATIENT)
            for feed in feeds:
                self._start(supervisor, feed)
            self.started.set()
            await trio.sleep(limits.LATE_START_SECONDS)
            await idle_moment(limits.LATE_PATIENCE_SECONDS, limits.LATE_QUIET_SECONDS)
            for name in self.names:
                if name in LATE:
                    self._start(supervisor, self._feed(name, caches))

    def _feed(self, name: str, caches: SharedCaches) -> Feed:
        controller = CONTROLLERS[name](self.options)
        if isinstance(controller, GarbageCollector):
            return CollectorFeed(controller, caches, self._client, self._system)
        if isinstance(controller, ResourceQuotas):
            return QuotaFeed(controller, caches, self._client, self._system)
        return CacheFeed(controller, caches)

    def _start(self, supervisor: Supervisor, feed: Feed) -> None:
        """Start one controller, the recorder of its events, and its feed where that has work of its own."""
        name = feed.controller.name
        if isinstance(feed, CollectorFeed | QuotaFeed):
            supervisor.start(f"{name}/{feed.part}", _always(feed), _PATIENT)
        recorder = EventRecorder(self._client, self._system, feed.controller.component)
        supervisor.start(f"{name}/events", _always(recorder), _PATIENT)
        supervisor.start(name, self._making(feed, recorder), _PATIENT)

    def kill(self, name: str) -> None:
        """End a controller's actor where it stands, as a crash would; it is started again."""
        if self._supervisor is not None and name in self._supervisor.children:
            self._supervisor.children[name].kill()

    def _making(self, feed: Feed, recorder: EventRecorder) -> Callable[[], Runner]:
        def make() -> Runner:
            runner = Runner(feed, self._client, self._system, recorder)
            self._runners[feed.controller.name] = runner
            return runner

        return make

    def statistics(self) -> list[Any]:
        """Every controller's figures."""
        return [runner.statistics() for runner in self._runners.values()]


def _always(actor: Any) -> Callable[[], Any]:
    return lambda: actor
