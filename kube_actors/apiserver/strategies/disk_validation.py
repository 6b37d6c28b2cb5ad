"""What is wrong with network disks, as volumes of a pod and as PersistentVolumes alike. Pure."""

from __future__ import annotations

from collections.abc import Callable

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_RANGE = "must be between 0 and 255, inclusive"
_EITHER_WWN = "must specify either targetWWNs or wwids, but not both"
_PAIRS = "must be a host:port pair or multiple pairs separated by commas"
Check = Callable[[JSONObject, str], Problems]


def _demanding(*keys: str) -> Check:
    """A source that only needs its fields to be there."""

    def check(source: JSONObject, path: str) -> Problems:
        return [fields.required(f"{path}.{key}") for key in keys if not source.get(key)]

    return check


def _partitioned(key: str) -> Check:
    def check(source: JSONObject, path: str) -> Problems:
        found: Problems = [] if source.get(key) else [fields.required(f"{path}.{key}")]
        partition = source.get("partition", 0)
        return found if 0 <= partition <= 255 else [*found, fields.invalid(f"{path}.partition", partition, _RANGE)]

    return check


def _iscsi(source: JSONObject, path: str) -> Problems:
    found: Problems = [] if source.get("targetPortal") else [fields.required(f"{path}.targetPortal")]
    name, lun = source.get("iqn", ""), source.get("lun", 0)
    if not name:
        found.append(fields.required(f"{path}.iqn"))
    elif not name.startswith(("iqn", "eui", "naa")):
        text = "must be valid format starting with iqn, eui, or naa"
        found.append(fields.invalid(f"{path}.iqn", name, text))
    if not 0 <= lun <= 255:
        found.append(fields.invalid(f"{path}.lun", lun, _RANGE))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        found.append(fields.required(f"{path}.secretRef"))
    initiator = source.get("initiatorName")
    if initiator is not None and not initiator.startswith(("iqn", "eui", "naa")):
        found.append(fields.invalid(f"{path}.initiatorname", initiator, "must be valid format"))
    return found


def _flocker(source: JSONObject, path: str) -> Problems:
    name, uuid = source.get("datasetName", ""), source.get("datasetUUID", "")
    if not name and not uuid:
        return [fields.required(path, "one of datasetName and datasetUUID is required")]
    if name and uuid:
        text = "datasetName and datasetUUID can not be specified simultaneously"
        return [fields.invalid(path, "resource", text)]
    if "/" in name:
        return [fields.invalid(f"{path}.datasetName", name, "must not contain '/'")]
    return []


def _quobyte(source: JSONObject, path: str) -> Problems:
    found: Problems = []
    registry = source.get("registry", "")
    if not registry:
        found.append(fields.required(f"{path}.registry", _PAIRS))
    elif len(registry) >= 65:
        text = "must be no more than 64 characters"
        found.append(fields.invalid(f"{path}.registry", registry, text))
    else:
        for pair in registry.split(","):
            if pair.count(":") != 1 or not pair.partition(":")[2]:
                found.append(fields.invalid(f"{path}.registry", registry, _PAIRS))
    if len(source.get("tenant", "")) >= 65:
        found.append(fields.required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    return found if source.get("volume") else [*found, fields.required(f"{path}.volume")]


def _fibre_channel(source: JSONObject, path: str) -> Problems:
    targets, ids, lun = source.get("targetWWNs") or [], source.get("wwids") or [], source.get("lun")
    found: Problems = []
    if not targets and not ids:
        found.append(fields.required(f"{path}.targetWWNs", _EITHER_WWN))
    if targets and ids:
        text = "targetWWNs and wwids can not be specified simultaneously"
        found.append(fields.invalid(f"{path}.targetWWNs", targets, text))
    if targets and lun is None:
        found.append(fields.required(f"{path}.lun", "lun is required if targetWWNs is specified"))
    elif targets and lun is not None and not 0 <= lun <= 255:
        found.append(fields.invalid(f"{path}.lun", lun, _RANGE))
    return found


def _flex(source: JSONObject, path: str) -> Problems:
    found: Problems = [] if source.get("driver") else [fields.required(f"{path}.driver")]
    for key in sorted(source.get("options") or ()):
        domain = key.partition("/")[0]
        if "/" in key and any(domain == own or domain.endswith(f".{own}") for own in ("kubernetes.io", "k8s.io")):
            text = "kubernetes.io and k8s.io namespaces are reserved"
            found.append(fields.invalid(f"{path}.options", key, text))
    return found


def _azure_disk(source: JSONObject, path: str) -> Problems:
    found = _demanding("diskName", "diskURI")(source, path)
    mode, kind, uri = source.get("cachingMode"), source.get("kind"), source.get("diskURI", "")
    if mode is not None and mode not in ("None", "ReadOnly", "ReadWrite"):
        found.append(fields.not_supported(f"{path}.cachingMode", mode, ["None", "ReadOnly", "ReadWrite"]))
    if kind is not None and kind not in ("Dedicated", "Managed", "Shared"):
        found.append(fields.not_supported(f"{path}.kind", kind, ["Dedicated", "Managed", "Shared"]))
    if kind == "Managed" and uri and not uri.startswith("/subscriptions/"):
        allowed = ["/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"]
        found.append(fields.not_supported(f"{path}.diskURI", uri, allowed))
    elif kind is not None and kind != "Managed" and uri and not uri.startswith("https://"):
        allowed = ["https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"]
        found.append(fields.not_supported(f"{path}.diskURI", uri, allowed))
    return found


def _storage_os(source: JSONObject, path: str) -> Problems:
    found: Problems = []
    name, namespace = source.get("volumeName", ""), source.get("volumeNamespace", "")
    if not name:
        found.append(fields.required(f"{path}.volumeName"))
    else:
        found += named(names.dns_label(name), name, f"{path}.volumeName")
    if namespace:
        found += named(names.dns_label(namespace), namespace, f"{path}.volumeNamespace")
    return found


def image(source: JSONObject, path: str) -> Problems:
    """An image as a volume."""
    found: Problems = [] if source.get("reference") else [fields.required(f"{path}.reference")]
    policies = ("Always", "IfNotPresent", "Never")
    return found + checks.one_of(source.get("pullPolicy"), policies, f"{path}.pullPolicy", required=True)


def nfs(source: JSONObject, path: str) -> Problems:
    """A directory of another machine."""
    found = _demanding("server", "path")(source, path)
    where = source.get("path", "")
    if where and not where.startswith("/"):
        found.append(fields.invalid(f"{path}.path", where, "must be an absolute path"))
    return found


CHECKS: dict[str, Check] = {
    "gcePersistentDisk": _partitioned("pdName"),
    "awsElasticBlockStore": _partitioned("volumeID"),
    "nfs": nfs,
    "iscsi": _iscsi,
    "glusterfs": _demanding("endpoints", "path"),
    "flocker": _flocker,
    "rbd": _demanding("monitors", "image"),
    "cinder": _demanding("volumeID"),
    "cephfs": _demanding("monitors"),
    "quobyte": _quobyte,
    "fc": _fibre_channel,
    "flexVolume": _flex,
    "azureFile": _demanding("secretName", "shareName"),
    "vsphereVolume": _demanding("volumePath"),
    "photonPersistentDisk": _demanding("pdID"),
    "portworxVolume": _demanding("volumeID"),
    "azureDisk": _azure_disk,
    "storageos": _storage_os,
    "scaleIO": _demanding("gateway", "system", "volumeName"),
}
"""By the name of the source."""
