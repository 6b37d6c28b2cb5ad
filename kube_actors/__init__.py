"""A Kubernetes in Python, made of actors.

    async with kube_actors.Cluster(nodes=3) as cluster:
        await cluster.apply("app.yaml")
        await cluster.wait("deployment/web", "Available", timeout=30)

`kube_actors.blocking.Cluster` is the same for programs without trio. Importing this package costs almost nothing:
what it offers is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy_names
from ._version import KUBERNETES_VERSION, VERSION

if TYPE_CHECKING:
    from . import blocking as blocking
    from .assembly.cluster import Cluster as Cluster
    from .assembly.config import ClusterConfig as ClusterConfig

__version__ = VERSION
__all__ = ["KUBERNETES_VERSION", "Cluster", "ClusterConfig", "__version__", "blocking"]

_HOME_OF = {"Cluster": "assembly.cluster", "ClusterConfig": "assembly.config", "blocking": "blocking"}
__getattr__ = lazy_names(__name__, _HOME_OF)
