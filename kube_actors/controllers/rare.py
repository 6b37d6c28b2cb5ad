"""Controllers of kinds that few clusters have objects of: each is loaded when it starts, which is late.

Owns the table of them and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .contract import Controller

if TYPE_CHECKING:
    from .manager import Options


def _loaded(module: str, name: str) -> Callable[[Options], Controller[Any]]:
    """A controller that takes no options."""

    def make(options: Options) -> Controller[Any]:
        found: Controller[Any] = getattr(import_module(f"{__package__}.{module}"), name)()
        return found

    return make


def _binder(options: Options) -> Controller[Any]:
    from .binder import PersistentVolumeBinder  # lazy: as the others here

    return PersistentVolumeBinder(options.volume_binder_period)


def _node_ranges(options: Options) -> Controller[Any]:
    from .nodeipam import NodeRanges  # lazy: only where it is named

    return NodeRanges(options.cluster_cidr, options.node_cidr_mask_size)


def _legacy_tokens(options: Options) -> Controller[Any]:
    from .legacytokens import LegacyTokens  # lazy: its first look is late

    return LegacyTokens(options.legacy_token_clean_up_period)


CONTROLLERS: dict[str, Callable[[Options], Controller[Any]]] = {
    "job-controller": _loaded("job", "Jobs"),
    "cronjob-controller": _loaded("cronjob", "CronJobs"),
    "ttl-after-finished-controller": _loaded("ttlafterfinished", "FinishedJobs"),
    "resourceclaim-controller": _loaded("resourceclaims", "ResourceClaims"),
    "persistentvolume-binder-controller": _binder,
    "persistentvolume-attach-detach-controller": _loaded("attachdetach", "AttachDetach"),
    "persistentvolume-expander-controller": _loaded("expansion", "VolumeExpansion"),
    "ephemeral-volume-controller": _loaded("ephemeral", "EphemeralVolumes"),
    "legacy-serviceaccount-token-cleaner-controller": _legacy_tokens,
    "node-ipam-controller": _node_ranges,
    "bootstrap-signer-controller": _loaded("bootstrap", "BootstrapSigner"),
    "token-cleaner-controller": _loaded("bootstrap", "TokenCleaner"),
    "storageversion-garbage-collector-controller": _loaded("storageversions", "StorageVersions"),
}

OFF_BY_DEFAULT = frozenset(
    {
        "node-ipam-controller",
        "bootstrap-signer-controller",
        "token-cleaner-controller",
        "storageversion-garbage-collector-controller",
    }
)
"""What "*" does not mean, as upstream has it where no flag or gate asks for more."""

ELSEWHERE = frozenset(
    {
        "cloud-node-lifecycle-controller",
        "device-taint-eviction-controller",
        "kube-apiserver-serving-clustertrustbundle-publisher-controller",
        "node-route-controller",
        "podcertificaterequest-cleaner-controller",
        "resourcepoolstatusrequest-controller",
        "selinux-warning-controller",
        "service-lb-controller",
        "storage-version-migrator-controller",
    }
)
"""Controllers of kube-controller-manager that there are none of here: who switches them off has nothing to fear."""
