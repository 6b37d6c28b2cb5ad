"""What a node is told about itself."""

from __future__ import annotations

from msgspec import Struct

from kube_actors.api.types.core_v1 import Taint

from . import limits


class NodeConfig(Struct, frozen=True, kw_only=True):
    """Everything but the name has a default that suits an embedded node.

    data_dir "": nothing is written to disk and no volume is mounted, for engines that have no file system.
    capacity overrides single resources of what the engine reports ("pods" included); reserved is taken off it.
    """

    name: str
    cluster: str = ""
    """Which cluster the node is of. Its containers are marked with it, so that two clusters may share an engine."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    taints: tuple[Taint, ...] = ()
    capacity: dict[str, str] = {}
    reserved: dict[str, str] = {}
    addresses: tuple[str, ...] = ("127.0.0.1",)
    hostname: str = ""
    provider_id: str = ""
    pod_cidrs: tuple[str, ...] = ()
    data_dir: str = ""
    kubelet_port: int = 0
    """Where the node's own HTTPS API listens; 0: it has none."""
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    service_environment: bool = True
    record_events: bool = True
    register: bool = True
    status_check_seconds: float = limits.STATUS_CHECK
    status_report_seconds: float = limits.STATUS_REPORT
    lease_seconds: int = limits.LEASE_DURATION
    lease_renew_seconds: float = limits.LEASE_RENEW
    volume_refresh_seconds: float = limits.VOLUME_REFRESH
    zone: str = ""
    region: str = ""

    @property
    def mark(self) -> str:
        """By what this node knows its own containers in an engine."""
        return f"{self.cluster}/{self.name}" if self.cluster else self.name
