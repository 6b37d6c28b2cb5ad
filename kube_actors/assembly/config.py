"""What a cluster is to be: the values behind `Cluster(...)`, `kube-actors up` and its --config file.

Owns the shape of the configuration, its defaults and its errors, which name the field and the fix. Reads a file, and
starts nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from kube_actors._version import KUBERNETES_VERSION
from kube_actors.api import selectors

RuntimeName = Literal["auto", "docker", "podman", "simulated"]
TierName = Literal["auto", "simulated", "loopback", "host"]

COMPONENTS = ("scheduler", "controllers", "proxy", "cloud", "metrics", "storage")
"""What `--without` may leave out. The API server and the store are the cluster; nodes are left out by --nodes 0."""

LEASE_JITTER = 1.2
"""By how much a leader's retry period is stretched at most."""

DEFAULT_SERVICE_RANGE = "10.96.0.0/16"
DEFAULT_POD_RANGE = "10.244.0.0/16"
DEFAULT_NODE_PORTS = "30000-32767"


class ConfigError(ValueError):
    """The configuration cannot be what was meant; the message names the field and says how to mend it."""


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of the configuration's parts: camelCase on file, unknown fields refused."""


class TaintConfig(Model, frozen=True, kw_only=True):
    key: str
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class NodeConfig(Model, frozen=True, kw_only=True):
    """One node, or `count` equal ones whose names get a number."""

    name: str = ""
    count: int = 1
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    taints: tuple[TaintConfig, ...] = ()
    capacity: dict[str, str | int] = {}
    """Resource name to quantity, over what the engine reports."""


class AddressConfig(Model, frozen=True, kw_only=True):
    """Address ranges. Empty ranges are chosen by the tier: a slice of 127.0.0.0/8 where sockets are loopback's."""

    tier: TierName = "auto"
    services: str = ""
    pods: str = ""
    node_ports: str = DEFAULT_NODE_PORTS


class TokenConfig(Model, frozen=True, kw_only=True):
    """A bearer token that the API server accepts, and whose it is; a user without a uid has its name for one."""

    token: str
    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""


class LeaderElectionConfig(Model, frozen=True, kw_only=True):
    """One of several processes acts, the one that holds a Lease; with kube-controller-manager's names and defaults.

    leaderElect is on for components that run by themselves, and off for those of `up`, which have no rival.
    """

    leader_elect: bool | None = None
    lease_duration: float | str = 15.0
    renew_deadline: float | str = 10.0
    retry_period: float | str = 2.0
    resource_name: str = "kube-controller-manager"
    resource_namespace: str = "kube-system"

    def check(self, field: str) -> None:
        duration = seconds(self.lease_duration, f"{field}.leaseDuration")
        deadline = seconds(self.renew_deadline, f"{field}.renewDeadline")
        retry = seconds(self.retry_period, f"{field}.retryPeriod")
        if not deadline < duration:
            raise ConfigError(
                f"{field}.leaseDuration: {duration:g} s must be longer than renewDeadline, {deadline:g} s"
            )
        if not retry * LEASE_JITTER < deadline:
            raise ConfigError(
                f"{field}.renewDeadline: {deadline:g} s must be longer than retryPeriod with its jitter, "
                f"{retry * LEASE_JITTER:g} s"
            )
        check_node_name(f"{field}.resourceName", self.resource_name)
        check_node_name(f"{field}.resourceNamespace", self.resource_namespace)


class ControllersConfig(Model, frozen=True, kw_only=True):
    """Which controllers run ("*", "name", "-name") and their periods, in seconds or as "8s", "1m30s"."""

    enabled: tuple[str, ...] = ("*",)
    node_monitor_period: float | str = 5.0
    node_monitor_grace_period: float | str = 50.0
    leader_election: LeaderElectionConfig = LeaderElectionConfig()
    cluster_cidr: str = DEFAULT_POD_RANGE
    node_cidr_mask_size: int = 24
    """What node-ipam-controller, where it is enabled by its name, gives nodes without a podCIDR."""
    periods: dict[str, float | str] = {}


class ScriptedConfig(Model, frozen=True, kw_only=True):
    """Nodes without an engine, whose pods do at once what an annotation says; for clusters of many or scripted pods.

    Every Node with labels that nodeSelector matches is one: those of `nodes` are registered, others are adopted when
    somebody creates them. Periods in seconds, or as "1.5s".
    """

    node_selector: str = ""
    """Labels as in kubectl's -l; empty: there is no scripted node."""
    annotation: str = "kube-actors/behaviour"
    lease_period: float | str = 10.0
    stop_after: float | str = 0.3
    restart_period: float | str = 1.0
    restarts: int = 8

    def check(self) -> None:
        try:
            selectors.parse(self.node_selector)
        except selectors.SelectorError as error:
            raise ConfigError(f"scripted.nodeSelector: {error}; write labels as example.com/node=true") from None
        if not self.annotation:
            raise ConfigError("scripted.annotation: must not be empty; it names the annotation of pods to go by")
        if self.restarts < 0:
            raise ConfigError(f"scripted.restarts: {self.restarts} is negative; 0 never starts a container again")
        seconds(self.lease_period, "scripted.leasePeriod")
        seconds(self.stop_after, "scripted.stopAfter")
        seconds(self.restart_period, "scripted.restartPeriod")


class StorageConfig(Model, frozen=True, kw_only=True):
    """The storage class whose volumes are directories of this host; "" for none.

    Where nothing else is said, nodes with an engine have it, as the class of claims that name none, and others do not.
    """

    class_name: str | None = None
    default: bool = True


class AuditConfig(Model, frozen=True, kw_only=True):
    """What is written down of requests over HTTP: an audit Policy or the path of one, and the file of JSON lines."""

    policy: dict[str, Any] | str = ""
    log: str = ""


class ClusterConfig(Model, frozen=True, kw_only=True):
    """Everything that can be said of a cluster before it starts."""

    nodes: int | tuple[NodeConfig, ...] = 1
    runtime: RuntimeName = "simulated"
    store: str = "memory"
    listen: str | None = None
    """HOST:PORT of the HTTPS listener; None opens no socket."""
    data_dir: str | None = None
    kubeconfig: str | None = None
    without: tuple[str, ...] = ()
    allow_privileged: bool | None = None
    """Whether containers may be privileged; by default as kubeadm has it on clusters, and kube-apiserver when alone."""
    addresses: AddressConfig = AddressConfig()
    tokens: tuple[TokenConfig, ...] = ()
    controllers: ControllersConfig = ControllersConfig()
    scripted: ScriptedConfig = ScriptedConfig()
    storage: StorageConfig = StorageConfig()
    encryption: dict[str, Any] | str = ""
    """An EncryptionConfiguration, or the path of one: which resources are sealed in the store, and with which keys."""
    audit: AuditConfig = AuditConfig()
    feature_gates: dict[str, bool] = {}
    """Kubernetes' switches. None is one here yet, so each is refused: see `_check_gates`."""

    @property
    def is_bare(self) -> bool:
        """Whether this is an API server alone: no node of its own, nobody who starts a pod or reaches a Service."""
        alone = "proxy" in self.without or {"scheduler", "controllers"} <= set(self.without)
        return alone and not self.node_configs()

    def node_configs(self) -> tuple[NodeConfig, ...]:
        """The nodes one by one, each with its own name."""
        if isinstance(self.nodes, int):
            return tuple(NodeConfig(name=f"node-{number}") for number in range(self.nodes))
        expanded: list[NodeConfig] = []
        for place, node in enumerate(self.nodes):
            base = node.name or f"node-{place}"
            names = [base] if node.count == 1 else [f"{base}-{number}" for number in range(node.count)]
            expanded += [msgspec.structs.replace(node, name=name, count=1) for name in names]
        return tuple(expanded)

    def is_scripted(self, node: NodeConfig) -> bool:
        """Whether a node has no engine and plays its pods."""
        selector = self.scripted.node_selector
        return bool(selector) and selectors.parse(selector).matches(node.labels)

    def check(self) -> ClusterConfig:
        """This configuration, or ConfigError."""
        _check_nodes(self)
        self.scripted.check()
        _check_names("without", self.without, COMPONENTS)
        if self.listen is not None:
            split_address(self.listen, "listen")
        if not re.fullmatch(r"memory|sqlite:.+|etcd:.+", self.store):
            raise ConfigError(f"store: {self.store!r} is none of memory, sqlite:PATH, etcd:URL")
        for field, value in (("services", self.addresses.services), ("pods", self.addresses.pods)):
            if value:
                _check_range(f"addresses.{field}", value)
        node_ports(self)
        for place, token in enumerate(self.tokens):
            if not token.token or not token.user:
                raise ConfigError(f"tokens[{place}]: token and user must not be empty")
        seconds(self.controllers.node_monitor_period, "controllers.nodeMonitorPeriod")
        seconds(self.controllers.node_monitor_grace_period, "controllers.nodeMonitorGracePeriod")
        self.controllers.leader_election.check("controllers.leaderElection")
        _check_node_ranges(self.controllers)
        for name, period in self.controllers.periods.items():
            seconds(period, f"controllers.periods.{name}")
        _check_gates(self.feature_gates)
        if bool(self.audit.policy) != bool(self.audit.log):
            raise ConfigError("audit: policy and log belong together")
        return self


def tree_of(value: dict[str, Any] | str, field: str) -> dict[str, Any]:
    """An object that stands in the configuration itself, or in a file that it names."""
    if isinstance(value, dict):
        return value
    import yaml  # lazy: heavy import

    try:
        tree = yaml.safe_load(Path(value).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise ConfigError(f"{field}: {value}: cannot be read: {reason}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{field}: {value}: a mapping of fields is expected")
    return tree


def _check_nodes(config: ClusterConfig) -> None:
    if isinstance(config.nodes, int):
        if config.nodes < 0:
            raise ConfigError(f"nodes: {config.nodes} is negative; 0 starts no node")
        return
    for place, node in enumerate(config.nodes):
        if node.count < 1:
            raise ConfigError(f"nodes[{place}].count: {node.count} must be at least 1")
    names = [node.name for node in config.node_configs()]
    for place, name in enumerate(names):
        check_node_name(f"nodes[{place}].name", name)
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ConfigError(f"nodes: the name {sorted(twice)[0]!r} is given twice")


def check_node_name(field: str, name: str) -> None:
    """Raises ConfigError for a name that the API server would not take."""
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", name):
        raise ConfigError(f"{field}: {name!r} is not a lower-case DNS name (letters, digits, - and .)")


def _check_gates(gates: Mapping[str, bool]) -> None:
    """A gate that nobody reads would be a promise that nobody keeps, whatever its value."""
    for name in gates:
        raise ConfigError(
            f"featureGates: {name!r} switches nothing here; no gate does yet, every feature is as Kubernetes "
            f"{KUBERNETES_VERSION} has it by default, so leave it out"
        )


def _check_names(field: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"{field}: there is no {name!r}; known are {', '.join(known)}")


def _check_range(field: str, value: str) -> None:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        raise ConfigError(f"{field}: {error}; a range looks like 10.96.0.0/16") from None


def _check_node_ranges(config: ControllersConfig) -> None:
    _check_range("controllers.clusterCidr", config.cluster_cidr)
    network = ipaddress.ip_network(config.cluster_cidr)
    if not network.prefixlen <= config.node_cidr_mask_size <= network.max_prefixlen:
        raise ConfigError(
            f"controllers.nodeCidrMaskSize: {config.node_cidr_mask_size} does not divide {config.cluster_cidr}; "
            f"it must lie between {network.prefixlen} and {network.max_prefixlen}"
        )


def node_ports(config: ClusterConfig) -> tuple[int, int]:
    """The first and the last node port."""
    match = re.fullmatch(r"(\d+)-(\d+)", config.addresses.node_ports)
    if match is None or not 0 < int(match[1]) <= int(match[2]) < 65536:
        raise ConfigError(f"addresses.nodePorts: {config.addresses.node_ports!r} is no port range like 30000-32767")
    return int(match[1]), int(match[2])


def split_address(address: str, field: str) -> tuple[str, int]:
    """HOST:PORT taken apart; an IPv6 host stands in brackets."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{field}: {address!r} is not HOST:PORT (127.0.0.1:6443, [::1]:6443, 127.0.0.1:0 for any)")
    return host.strip("[]"), int(port)


def seconds(value: float | str, field: str) -> float:
    """A duration: seconds, or Go's form ("1m30s", "500ms")."""
    if not isinstance(value, str):
        amount = float(value)
    else:
        parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            raise ConfigError(f"{field}: {value!r} is no duration; write seconds, or 8s, 1m30s, 500ms")
        amount = sum(float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)
    if amount <= 0:
        raise ConfigError(f"{field}: {value!r} must be more than nothing")
    return amount


def parse_config(
    text: str, source: str = "configuration", *, defaults: Mapping[str, Any] | None = None
) -> ClusterConfig:
    """A configuration from YAML (or JSON) text; `defaults` are fields, as on file, that stand where it says nothing.

    Raises ConfigError naming the source, the field and the fix.
    """
    import yaml  # lazy: heavy import

    try:
        tree: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not YAML: {' '.join(str(error).split())}") from None
    if tree is None:
        tree = {}
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{source}: a mapping of fields is expected, not {type(tree).__name__}")
    try:
        return msgspec.convert({**(defaults or {}), **tree}, ClusterConfig).check()
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def load_config(path: str | Path, *, defaults: Mapping[str, Any] | None = None) -> ClusterConfig:
    """A configuration from a file. Raises ConfigError also when it cannot be read."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    return parse_config(text, str(path), defaults=defaults)
