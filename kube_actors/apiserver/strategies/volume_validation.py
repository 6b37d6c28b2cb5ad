"""What is wrong with the volumes of a pod spec. Pure."""

from __future__ import annotations

from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.api import names, quantity
from kube_actors.apiserver.strategies import checks, disk_validation, env_validation
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named
from kube_actors.apiserver.strategies.container_validation import relative_path
from kube_actors.apiserver.strategies.device_validation import driver_name

_MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"
_VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_TOKEN_LEAST = 600
_TOKEN_MOST = 2**32
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def volumes(listed: Any, path: str) -> tuple[dict[str, JSONObject], Problems]:
    """The volumes by name, and what is wrong with them."""
    known: dict[str, JSONObject] = {}
    found: Problems = []
    for index, volume in enumerate(listed):
        at = f"{path}[{index}]"
        name = volume.get("name", "")
        problems = _source(volume, at)
        if not name:
            problems.append(fields.required(f"{at}.name"))
        else:
            problems += named(names.dns_label(name), name, f"{at}.name")
        if name in known:
            problems.append(fields.duplicate(f"{at}.name", name))
        found += problems
        if name:
            known.setdefault(name, volume)
    return known, found


def _source(volume: JSONObject, path: str) -> Problems:
    found: Problems = []
    sources = [key for key in volume if key != "name"]
    if not sources:
        return [fields.required(path, "must specify a volume type")]
    for position, key in enumerate(_ordered(sources)):
        if position:
            found.append(fields.forbidden(f"{path}.{key}", "may not specify more than 1 volume type"))
            continue
        check = _CHECKS.get(key)
        if check is not None:
            found += check(volume[key], f"{path}.{key}")
    return found


def _ordered(sources: list[str]) -> list[str]:
    order = {key: index for index, key in enumerate(_ORDER)}
    return sorted(sources, key=lambda key: order.get(key, len(order)))


_ORDER = (
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
)


def _empty_dir(source: JSONObject, path: str) -> Problems:
    limit = source.get("sizeLimit")
    if limit is not None and quantity.parse(limit).sign < 0:
        return [fields.forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def host_path(source: JSONObject, path: str) -> Problems:
    found: Problems = []
    where = source.get("path", "")
    if not where:
        found.append(fields.required(f"{path}.path"))
    elif ".." in where.split("/"):
        found.append(fields.invalid(f"{path}.path", where, "must not contain '..'"))
    kind = source.get("type", "")
    if kind not in _HOST_PATH_TYPES:
        found.append(fields.not_supported(f"{path}.type", kind, _HOST_PATH_TYPES))
    return found


def _git_repo(source: JSONObject, path: str) -> Problems:
    found: Problems = [] if source.get("repository") else [fields.required(f"{path}.repository")]
    return found + relative_path(source.get("directory", ""), f"{path}.directory")


def _mode(source: JSONObject, path: str) -> Problems:
    mode = source.get("defaultMode")
    if mode is not None and not 0 <= mode <= 0o777:
        return [fields.invalid(f"{path}.defaultMode", mode, _MODE_TEXT)]
    return []


def _secret(source: JSONObject, path: str) -> Problems:
    found: Problems = [] if source.get("secretName") else [fields.required(f"{path}.secretName")]
    return found + _mode(source, path) + _items(source, path)


def _config_map(source: JSONObject, path: str) -> Problems:
    found: Problems = [] if source.get("name") else [fields.required(f"{path}.name")]
    return found + _mode(source, path) + _items(source, path)


def _items(source: JSONObject, path: str) -> Problems:
    """As validateKeyToPath."""
    found: Problems = []
    for index, item in enumerate(source.get("items") or ()):
        at = f"{path}.items[{index}]"
        if not item.get("key"):
            found.append(fields.required(f"{at}.key"))
        if not item.get("path"):
            found.append(fields.required(f"{at}.path"))
        else:
            found += _local_path(item["path"], f"{at}.path")
        mode = item.get("mode")
        if mode is not None and not 0 <= mode <= 0o777:
            found.append(fields.invalid(f"{at}.mode", mode, _MODE_TEXT))
    return found


def _local_path(value: str, path: str) -> Problems:
    found = relative_path(value, path)
    if value.startswith("..") and not found:
        found.append(fields.invalid(path, value, "must not start with '..'"))
    return found


def _downward(source: JSONObject, path: str) -> Problems:
    found = _mode(source, path)
    for item in source.get("items") or ():
        found += _downward_item(item, path)
    return found


def _downward_item(item: JSONObject, path: str) -> Problems:
    found: Problems = []
    if not item.get("path"):
        found.append(fields.required(f"{path}.path"))
    else:
        found += _local_path(item["path"], f"{path}.path")
    if item.get("fieldRef") is not None:
        found += env_validation.field_ref(item["fieldRef"], f"{path}.fieldRef", _VOLUME_FIELDS)
        if item.get("resourceFieldRef") is not None:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            found.append(fields.invalid(path, "resource", text))
    elif item.get("resourceFieldRef") is not None:
        found += env_validation.resource_ref(item["resourceFieldRef"], f"{path}.resourceFieldRef", volume=True)
    else:
        found.append(fields.required(path, "one of fieldRef and resourceFieldRef is required"))
    mode = item.get("mode")
    if mode is not None and not 0 <= mode <= 0o777:
        found.append(fields.invalid(f"{path}.mode", mode, _MODE_TEXT))
    return found


def _projected(source: JSONObject, path: str) -> Problems:
    found = _mode(source, path)
    taken: set[str] = set()
    for index, part in enumerate(source.get("sources") or ()):
        at = f"{path}.sources[{index}]"
        kinds = [
            key for key in ("secret", "configMap", "downwardAPI", "serviceAccountToken") if part.get(key) is not None
        ]
        if len(kinds) > 1:
            found.append(fields.forbidden(at, "may not specify more than 1 volume type per source"))
        for key in kinds[:1]:
            found += _projected_part(key, part[key], at, path)
            for where in _paths(key, part[key]):
                if where in taken:
                    text = "conflicting duplicate paths"
                    found.append(fields.invalid(path, where, text))
                taken.add(where)
    return found


def _projected_part(key: str, part: JSONObject, at: str, path: str) -> Problems:
    if key == "downwardAPI":
        found: Problems = []
        for item in part.get("items") or ():
            found += _downward_item(item, f"{at}.{key}")
        return found
    if key == "serviceAccountToken":
        found = []
        seconds = part.get("expirationSeconds", 3600)
        if seconds < _TOKEN_LEAST:
            text = "may not specify a duration less than 10 minutes"
            found.append(fields.invalid(f"{at}.{key}.expirationSeconds", seconds, text))
        elif seconds > _TOKEN_MOST:
            text = "may not specify a duration larger than 2^32 seconds"
            found.append(fields.invalid(f"{at}.{key}.expirationSeconds", seconds, text))
        if not part.get("path"):
            found.append(fields.required(f"{path}.path"))
        else:
            found += relative_path(part["path"], f"{path}.path")
        return found
    found = [] if part.get("name") else [fields.required(f"{at}.{key}.name")]
    return found + _items(part, f"{at}.{key}")


def _paths(key: str, part: JSONObject) -> list[str]:
    if key == "serviceAccountToken":
        return [part["path"]] if part.get("path") else []
    return [item["path"] for item in part.get("items") or () if item.get("path")]


def _claim(source: JSONObject, path: str) -> Problems:
    return [] if source.get("claimName") else [fields.required(f"{path}.claimName")]


def _csi(source: JSONObject, path: str) -> Problems:
    found = driver_name(source.get("driver", ""), f"{path}.driver")
    secret = source.get("nodePublishSecretRef")
    if secret is not None and not secret.get("name"):
        found.append(fields.required(f"{path}.nodePublishSecretRef.name"))
    return found


def _ephemeral(source: JSONObject, path: str) -> Problems:
    template = source.get("volumeClaimTemplate")
    if template is None:
        return [fields.required(f"{path}.volumeClaimTemplate")]
    return claim_spec(template.get("spec") or {}, f"{path}.volumeClaimTemplate.spec")


def claim_spec(spec: JSONObject, path: str) -> Problems:
    """As ValidatePersistentVolumeClaimSpec."""
    found = checks.label_selector(spec.get("selector"), f"{path}.selector")
    modes = spec.get("accessModes") or []
    if not modes:
        found.append(fields.required(f"{path}.accessModes", "at least 1 access mode is required"))
    for mode in modes:
        if mode not in ACCESS_MODES:
            found.append(fields.not_supported(f"{path}.accessModes", mode, ACCESS_MODES))
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        text = "may not use ReadWriteOncePod with other access modes"
        found.append(fields.forbidden(f"{path}.accessModes", text))
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        found.append(fields.required(f"{path}.resources[storage]"))
    elif quantity.parse(storage).sign <= 0:
        found.append(fields.invalid(f"{path}.resources[storage]", storage, "must be greater than zero"))
    name = spec.get("storageClassName")
    if name:
        found += named(names.dns_subdomain(name), name, f"{path}.storageClassName")
    mode = spec.get("volumeMode")
    if mode not in (None, "Block", "Filesystem"):
        found.append(fields.not_supported(f"{path}.volumeMode", mode, ["Block", "Filesystem"]))
    found += _data_sources(spec, path)
    name = spec.get("volumeAttributesClassName")
    if name:
        found += named(names.dns_subdomain(name), name, f"{path}.volumeAttributesClassName")
    return found


def _data_sources(spec: JSONObject, path: str) -> Problems:
    """dataSource and dataSourceRef, in themselves and beside each other; Kubernetes quotes a path where it means the
    value, which comes out as {}."""
    found: Problems = []
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    for key, given in (("dataSource", source), ("dataSourceRef", reference)):
        if given is None:
            continue
        at, group, kind = f"{path}.{key}", given.get("apiGroup") or "", given.get("kind", "")
        if not given.get("name"):
            found.append(fields.required(f"{at}.name"))
        if not kind:
            found.append(fields.required(f"{at}.kind"))
        if not group and kind != "PersistentVolumeClaim":
            found.append(fields.invalid(at, kind, ""))
        if group:
            found += named(names.dns_subdomain(group), group, f"{at}.apiGroup")
        if key == "dataSourceRef" and given.get("namespace"):
            found += named(names.dns_label(given["namespace"]), given["namespace"], f"{at}.namespace")
    if reference is not None and reference.get("namespace"):
        if source is not None:
            text = "may not be specified when dataSourceRef.namespace is specified"
            found.append(fields.invalid(path, {}, text))
    elif source is not None and reference is not None:
        same = all((source.get(key) or "") == (reference.get(key) or "") for key in ("apiGroup", "kind", "name"))
        if not same:
            found.append(fields.invalid(path, {}, "must match dataSourceRef"))
    return found


_CHECKS = {
    **disk_validation.CHECKS,
    "image": disk_validation.image,
    "emptyDir": _empty_dir,
    "hostPath": host_path,
    "gitRepo": _git_repo,
    "secret": _secret,
    "configMap": _config_map,
    "downwardAPI": _downward,
    "projected": _projected,
    "persistentVolumeClaim": _claim,
    "csi": _csi,
    "ephemeral": _ephemeral,
}
