"""What is wrong with the objects around CSI: classes, drivers, nodes' drivers, attachments, capacities. Pure."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.api import names, quantity
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named
from kube_actors.apiserver.strategies.device_validation import driver_name

_PARAMETERS_MOST, _PARAMETERS_BYTES = 512, 256 * 1024
_NODE_ID_BYTES = 256
_TOKEN_LEAST, _TOKEN_MOST = 600, 2**32
_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
_LIFECYCLES = ("Persistent", "Ephemeral")
_RECLAIM = ("Delete", "Retain")
_BINDING = ("Immediate", "WaitForFirstConsumer")
_ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


def storage_class(obj: JSONObject) -> Problems:
    """As ValidateStorageClass."""
    found = _provisioner(obj.get("provisioner", ""), "provisioner")
    found += _parameters(obj.get("parameters") or {}, "parameters")
    policy, mode = obj.get("reclaimPolicy", ""), obj.get("volumeBindingMode", "")
    if policy not in _RECLAIM:
        found.append(fields.not_supported("reclaimPolicy", policy, _RECLAIM))
    if mode not in _BINDING:
        found.append(fields.not_supported("volumeBindingMode", mode, _BINDING))
    return found + _topologies(obj.get("allowedTopologies") or (), "allowedTopologies")


def _provisioner(name: str, path: str) -> Problems:
    return named(names.qualified_name(name.lower()), name.lower(), path) if name else [fields.required(path)]


def _parameters(parameters: JSONObject, path: str, *, needed: bool = False) -> Problems:
    if len(parameters) > _PARAMETERS_MOST:
        return [fields.too_long(path, _PARAMETERS_MOST)]
    if needed and not parameters:
        return [fields.required(path, "must contain at least one key/value pair")]
    found: Problems = []
    if "" in parameters:
        found.append(fields.invalid(path, "", "field can not be empty."))
    if sum(len(key.encode()) + len(value.encode()) for key, value in parameters.items()) > _PARAMETERS_BYTES:
        found.append(fields.too_long(path, _PARAMETERS_BYTES))
    return found


def _topologies(listed: list[JSONObject] | tuple[JSONObject, ...], path: str) -> Problems:
    found: Problems = []
    seen: list[dict[str, frozenset[str]]] = []
    for index, term in enumerate(listed):
        at = f"{path}[{index}].matchLabelExpressions"
        keys: dict[str, frozenset[str]] = {}
        for position, item in enumerate(term.get("matchLabelExpressions") or ()):
            where, key, values = f"{at}[{position}]", item.get("key", ""), item.get("values") or []
            if not values:
                found.append(fields.required(f"{where}.values"))
            for place, value in enumerate(values):
                if value in values[:place]:
                    found.append(fields.duplicate(f"{where}.values[{place}]", value))
            found += named(names.qualified_name(key), key, f"{where}.key")
            if key in keys:
                found.append(fields.duplicate(f"{where}.key", key))
            keys[key] = frozenset(values)
        if keys in seen:
            found.append(fields.duplicate(at, ""))
        seen.append(keys)
    return found


def storage_class_update(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateStorageClassUpdate."""
    found: Problems = []
    for key in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
        found += checks.immutable(new.get(key), old.get(key), key)
    return found


def attributes_class(obj: JSONObject) -> Problems:
    """As ValidateVolumeAttributesClass."""
    found = _provisioner(obj.get("driverName", ""), "driverName")
    return found + _parameters(obj.get("parameters") or {}, "parameters", needed=True)


def attributes_class_update(new: JSONObject, old: JSONObject) -> Problems:
    found: Problems = []
    for key in ("driverName", "parameters"):
        if new.get(key) != old.get(key):
            found.append(fields.forbidden(key, f"updates to {key} are forbidden."))
    return found + attributes_class(new)


def driver(obj: JSONObject) -> Problems:
    """As ValidateCSIDriver."""
    spec = obj["spec"]
    found: Problems = []
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in _GROUP_POLICIES:
        found.append(fields.not_supported("spec.fsGroupPolicy", policy, _GROUP_POLICIES))
    found += _tokens(spec.get("tokenRequests") or (), "spec.tokenRequests")
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in _LIFECYCLES:
            found.append(fields.not_supported("spec.volumeLifecycleModes", mode, _LIFECYCLES))
    seconds = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if seconds is not None and seconds < 10:
        text = "must be greater than or equal to 10 seconds"
        found.append(fields.invalid("spec.nodeAllocatableUpdatePeriodSeconds", seconds, text))
    if spec.get("serviceAccountTokenInSecrets") is not None and not spec.get("tokenRequests"):
        text = "must be unset when tokenRequests is empty"
        value = spec["serviceAccountTokenInSecrets"]
        found.append(fields.invalid("spec.serviceAccountTokenInSecrets", value, text))
    return found


def _tokens(listed: list[JSONObject] | tuple[JSONObject, ...], path: str) -> Problems:
    found: Problems = []
    seen: set[str] = set()
    for index, request in enumerate(listed):
        audience, seconds = request.get("audience", ""), request.get("expirationSeconds")
        if audience in seen:
            found.append(fields.duplicate(f"{path}[{index}].audience", audience))
            continue
        seen.add(audience)
        at = f"{path}[{index}].expirationSeconds"
        if seconds is not None and seconds < _TOKEN_LEAST:
            found.append(fields.invalid(at, seconds, "may not specify a duration less than 10 minutes"))
        if seconds is not None and seconds > _TOKEN_MOST:
            found.append(fields.invalid(at, seconds, "may not specify a duration larger than 2^32 seconds"))
    return found


def driver_update(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateCSIDriverUpdate; the first path is misspelt in Kubernetes too."""
    after, before = new["spec"], old["spec"]
    found = driver(new)
    found += checks.immutable(after.get("attachRequired"), before.get("attachRequired"), "spec.attachedRequired")
    path = "spec.volumeLifecycleModes"
    return found + checks.immutable(after.get("volumeLifecycleModes"), before.get("volumeLifecycleModes"), path)


def driver_warnings(obj: JSONObject) -> list[str]:
    spec = obj["spec"]
    if spec.get("tokenRequests") and spec.get("serviceAccountTokenInSecrets") is None:
        return [
            "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent "
            "possible logging of tokens in volume attributes"
        ]
    return []


def node(obj: JSONObject) -> Problems:
    """As ValidateCSINode."""
    found: Problems = []
    seen: set[str] = set()
    for index, item in enumerate((obj.get("spec") or {}).get("drivers") or ()):
        path, name = f"spec.drivers[{index}]", item.get("name", "")
        found += driver_name(name, f"{path}.name")
        identity = item.get("nodeID", "")
        if not identity:
            found.append(fields.required(f"{path}.nodeID"))
        elif len(identity.encode()) > _NODE_ID_BYTES:
            text = f"must be {_NODE_ID_BYTES} characters or less"
            found.append(fields.invalid(f"{path}.nodeID", identity, text))
        found += checks.not_negative((item.get("allocatable") or {}).get("count"), f"{path}.allocatable.count")
        if name in seen:
            found.append(fields.duplicate(f"{path}.name", name))
        seen.add(name)
        keys = item.get("topologyKeys") or []
        for position, key in enumerate(keys):
            if not key:
                found.append(fields.required(path))
            if key in keys[:position]:
                found.append(fields.duplicate(path, key))
            found += named(names.qualified_name(key), key, path)
    return found


def node_update(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateCSINodeUpdate: a driver that is there changes no more, but for how much it can attach."""
    found = node(new)
    before = {item.get("name"): item for item in (old.get("spec") or {}).get("drivers") or ()}
    for item in (new.get("spec") or {}).get("drivers") or ():
        had = before.get(item.get("name"))
        if had is not None and _fixed(had) != _fixed(item):
            found.append(fields.invalid("CSINodeDriver", _go_node_driver(item), checks.IMMUTABLE))
    return found


def _fixed(item: JSONObject) -> JSONObject:
    return {key: value for key, value in item.items() if key != "allocatable"}


def _go_node_driver(item: JSONObject) -> object:
    allocatable = item.get("allocatable")
    return checks.go_value(
        {
            "Name": item.get("name", ""),
            "NodeID": item.get("nodeID", ""),
            "TopologyKeys": item.get("topologyKeys"),
            "Allocatable": None if allocatable is None else {"Count": allocatable.get("count")},
        }
    )


def attachment(obj: JSONObject) -> Problems:
    """As ValidateVolumeAttachment."""
    spec = obj["spec"]
    source, at = spec.get("source") or {}, "spec.source"
    found = driver_name(spec.get("attacher", ""), "spec.attacher")
    name, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    if name is None and inline is None:
        found.append(fields.required(at, _ONE_SOURCE))
    elif name is not None and inline is not None:
        found.append(fields.forbidden(at, _ONE_SOURCE))
    elif name == "":
        found.append(fields.required(f"{at}.persistentVolumeName", "must specify non empty persistentVolumeName"))
    node_name = spec.get("nodeName", "")
    found += named(names.dns_subdomain(node_name), node_name, "spec.nodeName")
    if name is not None:
        found += named(names.dns_subdomain(name), name, "spec.source.persistentVolumeName")
    return found


def attachment_update(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateVolumeAttachmentUpdate: the spec is for life."""
    found = attachment(new)
    if new["spec"] != old["spec"]:
        spec = new["spec"]
        source = spec.get("source") or {}
        shown = {
            "Attacher": spec.get("attacher", ""),
            "Source": {
                "PersistentVolumeName": source.get("persistentVolumeName"),
                "InlineVolumeSpec": source.get("inlineVolumeSpec"),
            },
            "NodeName": spec.get("nodeName", ""),
        }
        found.append(fields.invalid("spec", checks.go_value(shown), checks.IMMUTABLE))
    return found


def capacity(obj: JSONObject) -> Problems:
    """As ValidateCSIStorageCapacity."""
    found = checks.label_selector(obj.get("nodeTopology"), "nodeTopology")
    name = obj.get("storageClassName", "")
    found += named(names.dns_subdomain(name), name, "storageClassName")
    for key in ("capacity", "maximumVolumeSize"):
        if obj.get(key) is not None and quantity.parse(obj[key]).sign < 0:
            found.append(fields.invalid(key, obj[key], checks.NOT_NEGATIVE))
    return found


def capacity_update(new: JSONObject, old: JSONObject) -> Problems:
    found = capacity(new)
    for key in ("nodeTopology", "storageClassName"):
        found += checks.immutable(new.get(key), old.get(key), key)
    return found
