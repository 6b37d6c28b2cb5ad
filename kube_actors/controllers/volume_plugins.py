"""What upstream's volume plugins inside the controller manager can do, as far as one of them is still there. Pure.

There are five: hostPath, nfs, local, csi and, for expansion only, fc. All others have moved out, most of them with
their names translated to those of CSI drivers. Nothing here touches storage.
"""

from __future__ import annotations

from kube_actors.api.types.core_v1 import PersistentVolume
from kube_actors.api.types.storage_v1 import StorageClass

IN_TREE = "kubernetes.io/"
HOST_PATH = "kubernetes.io/host-path"

MIGRATED = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
}
"""Provisioners of old and the CSI drivers that have taken their place."""

_KNOWN = frozenset({HOST_PATH, "kubernetes.io/nfs", "kubernetes.io/local-volume", "kubernetes.io/csi"})
_NONE = "no volume plugin matched"


class PluginError(Exception):
    """No plugin can do it; the message is upstream's."""


def _check_known(name: str) -> None:
    if name not in _KNOWN:
        raise PluginError(f"{_NONE} name: {name}")


def provisioner_of(storage_class: StorageClass) -> tuple[str, bool]:
    """Who makes volumes of a class, and whether it is somebody else than the controller manager."""
    name = storage_class.provisioner
    if name in MIGRATED:
        return MIGRATED[name], True
    if not name.startswith(IN_TREE):
        return name, True
    _check_known(name)
    if name != HOST_PATH:
        raise PluginError("no provisionable volume plugin matched")
    return name, False


def is_deletable(volume: PersistentVolume, provisioned_by: str, migrated: bool) -> bool:
    """Whether the controller manager is the one to delete what is behind a volume. PluginError: nobody can."""
    if provisioned_by:
        if provisioned_by == HOST_PATH:
            return True
        if not provisioned_by.startswith(IN_TREE):
            return False
        _check_known(provisioned_by)
        raise PluginError("no deletable volume plugin matched")
    if migrated or volume.spec.csi is not None:
        return False
    spec, prefix = volume.spec, f'error getting deleter volume plugin for volume "{volume.metadata.name}": '
    if spec.host_path is not None:
        return True
    if spec.nfs is not None or spec.local is not None:
        raise PluginError(f"{prefix}no deletable volume plugin matched")
    raise PluginError(prefix + _NONE)


def is_recyclable(volume: PersistentVolume) -> bool:
    return volume.spec.host_path is not None or volume.spec.nfs is not None


_MIGRATED_SOURCES = {
    "aws_elastic_block_store": "kubernetes.io/aws-ebs",
    "azure_disk": "kubernetes.io/azure-disk",
    "azure_file": "kubernetes.io/azure-file",
    "cinder": "kubernetes.io/cinder",
    "gce_persistent_disk": "kubernetes.io/gce-pd",
    "portworx_volume": "kubernetes.io/portworx-volume",
    "vsphere_volume": "kubernetes.io/vsphere-volume",
}


def migrated_plugin_of(volume: PersistentVolume) -> str | None:
    """The plugin of old of a volume that a CSI driver looks after now."""
    for field, plugin in _MIGRATED_SOURCES.items():
        if getattr(volume.spec, field) is not None:
            return plugin
    return None
