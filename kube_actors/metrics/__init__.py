"""The resource metrics API, metrics.k8s.io: what nodes and pods use, read from the nodes when somebody asks."""

from kube_actors.metrics.server import GROUP, SERVICE, VERSION, MetricsServer

__all__ = ["GROUP", "SERVICE", "VERSION", "MetricsServer"]
