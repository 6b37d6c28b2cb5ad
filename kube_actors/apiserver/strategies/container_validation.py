"""What is wrong with the containers of a pod spec, in Kubernetes' words and order. Pure."""

from __future__ import annotations

from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.api import names, quantity
from kube_actors.apiserver.strategies import checks, env_validation, handler_validation, pod_security_validation
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_STANDARD = ("cpu", "memory", "ephemeral-storage", "storage")
_CONTAINER_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_HUGE = "hugepages-"


def containers(spec: JSONObject, volumes: dict[str, JSONObject], path: str) -> Problems:
    """Containers, init containers and ephemeral containers of one spec."""
    found: Problems = []
    listed = spec.get("containers") or ()
    if not listed:
        return [fields.required(f"{path}.containers")]
    seen: set[str] = set()
    grace = spec.get("terminationGracePeriodSeconds", 30)
    for index, container in enumerate(listed):
        at = f"{path}.containers[{index}]"
        found += _container(container, volumes, at, spec)
        found += _unique(container, seen, at)
        found += handler_validation.lifecycle(container.get("lifecycle"), f"{at}.lifecycle", grace)
        found += handler_validation.probes(container, at, grace)
    found += _host_ports(listed, f"{path}.containers")
    for index, container in enumerate(spec.get("initContainers") or ()):
        at = f"{path}.initContainers[{index}]"
        found += _container(container, volumes, at, spec)
        found += _unique(container, seen, at)
        found += _init_only(container, at, grace)
    return found


def _unique(container: JSONObject, seen: set[str], path: str) -> Problems:
    name = container.get("name", "")
    if name and name in seen:
        return [fields.duplicate(f"{path}.name", name)]
    seen.add(name)
    return []


def _init_only(container: JSONObject, path: str, grace: int) -> Problems:
    """What an init container may have only as a sidecar."""
    found: Problems = []
    policy = container.get("restartPolicy")
    if policy is not None and policy not in ("Always", "Never", "OnFailure"):
        found.append(fields.not_supported(f"{path}.restartPolicy", policy, ["Always", "Never", "OnFailure"]))
    if policy == "Always":
        found += handler_validation.lifecycle(container.get("lifecycle"), f"{path}.lifecycle", grace)
        return found + handler_validation.probes(container, path, grace)
    for key in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(key) is not None:
            text = "may not be set for init containers without restartPolicy=Always"
            found.append(fields.forbidden(f"{path}.{key}", text))
    return found


def _container(container: JSONObject, volumes: dict[str, JSONObject], path: str, spec: JSONObject) -> Problems:
    """As validateContainerCommon."""
    found: Problems = []
    name = container.get("name", "")
    found += named(names.dns_label(name), name, f"{path}.name") if name else [fields.required(f"{path}.name")]
    image = container.get("image", "")
    if not image:
        found.append(fields.required(f"{path}.image"))
    elif image != image.strip():
        found.append(fields.invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    found += _termination(container, path)
    found += ports(container.get("ports") or (), f"{path}.ports")
    found += env_validation.env(container, path)
    found += env_validation.env_from(container.get("envFrom") or (), f"{path}.envFrom")
    found += mounts(container, volumes, path)
    found += devices(container, volumes, path)
    found += checks.one_of(container.get("imagePullPolicy"), _PULL_POLICIES, f"{path}.imagePullPolicy", required=True)
    found += resources(container.get("resources") or {}, f"{path}.resources")
    found += _resize_policy(container.get("resizePolicy") or (), f"{path}.resizePolicy")
    return found + pod_security_validation.container_context(
        container.get("securityContext"), f"{path}.securityContext", spec
    )


def _termination(container: JSONObject, path: str) -> Problems:
    policy = container.get("terminationMessagePolicy", "")
    return checks.one_of(policy, ("File", "FallbackToLogsOnError"), f"{path}.terminationMessagePolicy", required=True)


def ports(listed: Any, path: str) -> Problems:
    """As validateContainerPorts."""
    found: Problems = []
    seen: set[str] = set()
    for index, item in enumerate(listed):
        at = f"{path}[{index}]"
        name = item.get("name", "")
        if name:
            problems = names.port_name(name)
            if problems:
                found += named(problems, name, f"{at}.name")
            elif name in seen:
                found.append(fields.duplicate(f"{at}.name", name))
            seen.add(name)
        number = item.get("containerPort", 0)
        found += checks.port(number, f"{at}.containerPort") if number else [fields.required(f"{at}.containerPort")]
        if item.get("hostPort"):
            found += checks.port(item["hostPort"], f"{at}.hostPort")
        found += checks.one_of(item.get("protocol"), checks.PROTOCOLS, f"{at}.protocol", required=True)
    return found


def _host_ports(listed: Any, path: str) -> Problems:
    """Two containers cannot have one port of the host."""
    found: Problems = []
    seen: set[str] = set()
    for index, container in enumerate(listed):
        for position, item in enumerate(container.get("ports") or ()):
            number = item.get("hostPort", 0)
            if not number:
                continue
            key = f"{item.get('protocol', '')}/{item.get('hostIP', '')}/{number}"
            if key in seen:
                found.append(fields.duplicate(f"{path}[{index}].ports[{position}].hostPort", key))
            seen.add(key)
    return found


def mounts(container: JSONObject, volumes: dict[str, JSONObject], path: str) -> Problems:
    """As ValidateVolumeMounts."""
    found: Problems = []
    seen: set[str] = set()
    devices_named = {device.get("name") for device in container.get("volumeDevices") or ()}
    device_paths = {device.get("devicePath") for device in container.get("volumeDevices") or ()}
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        at = f"{path}.volumeMounts[{index}]"
        name, where = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            found.append(fields.required(f"{at}.name"))
        if name not in volumes:
            found.append(fields.not_found(f"{at}.name", name))
        if not where:
            found.append(fields.required(f"{at}.mountPath"))
        if where in seen:
            found.append(fields.invalid(f"{at}.mountPath", where, "must be unique"))
        seen.add(where)
        if name in devices_named:
            found.append(fields.invalid(f"{at}.name", name, "must not already exist in volumeDevices"))
        if where in device_paths:
            text = "must not already exist as a path in volumeDevices"
            found.append(fields.invalid(f"{at}.mountPath", where, text))
        found += _sub_paths(mount, path, at)
        found += _mount_modes(container, mount, f"{path}.volumeMounts")
    return found


def _sub_paths(mount: JSONObject, path: str, at: str) -> Problems:
    found: Problems = []
    if mount.get("subPath"):
        found += relative_path(mount["subPath"], f"{path}.volumeMounts.subPath")
    if mount.get("subPathExpr"):
        if mount.get("subPath"):
            text = "subPathExpr and subPath are mutually exclusive"
            found.append(fields.invalid(f"{at}.subPathExpr", mount["subPathExpr"], text))
        found += relative_path(mount["subPathExpr"], f"{path}.volumeMounts.subPathExpr")
    return found


def _mount_modes(container: JSONObject, mount: JSONObject, path: str) -> Problems:
    found: Problems = []
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        allowed = ("Bidirectional", "HostToContainer", "None")
        found += checks.one_of(propagation, allowed, f"{path}.mountPropagation", required=True)
        if propagation == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
            text = "Bidirectional mount propagation is available only to privileged containers"
            found.append(fields.forbidden(f"{path}.mountPropagation", text))
    recursive = mount.get("recursiveReadOnly")
    if recursive is not None:
        if recursive not in ("Disabled", "IfPossible", "Enabled"):
            allowed = ("Disabled", "Enabled", "IfPossible")
            found.append(fields.not_supported(f"{path}.recursiveReadOnly", recursive, allowed))
        elif recursive != "Disabled" and not mount.get("readOnly"):
            found.append(fields.forbidden(f"{path}.recursiveReadOnly", "may only be specified when readOnly is true"))
    return found


def relative_path(value: str, path: str) -> Problems:
    """A path that stays below where it starts."""
    found: Problems = []
    if value.startswith("/"):
        found.append(fields.invalid(path, value, "must be a relative path"))
    if ".." in value.split("/"):
        found.append(fields.invalid(path, value, "must not contain '..'"))
    return found


def devices(container: JSONObject, volumes: dict[str, JSONObject], path: str) -> Problems:
    """As ValidateVolumeDevices."""
    found: Problems = []
    names_seen: set[str] = set()
    paths_seen: set[str] = set()
    for index, device in enumerate(container.get("volumeDevices") or ()):
        at = f"{path}.volumeDevices[{index}]"
        name, where = device.get("name", ""), device.get("devicePath", "")
        if not name:
            found.append(fields.required(f"{at}.name"))
        if name in names_seen:
            found.append(fields.invalid(f"{at}.name", name, "must be unique"))
        names_seen.add(name)
        source = volumes.get(name)
        if source is not None and not ("persistentVolumeClaim" in source or "ephemeral" in source):
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            found.append(fields.invalid(f"{at}.name", name, text))
        if name and source is None:
            found.append(fields.not_found(f"{at}.name", name))
        if not where:
            found.append(fields.required(f"{at}.devicePath"))
        if where in paths_seen:
            found.append(fields.invalid(f"{at}.devicePath", where, "must be unique"))
        paths_seen.add(where)
    return found


def resources(given: JSONObject, path: str) -> Problems:
    """As ValidateContainerResourceRequirements."""
    found: Problems = []
    limits, requests = given.get("limits") or {}, given.get("requests") or {}
    for name, amount in sorted(limits.items()):
        found += _resource(name, amount, f"{path}.limits[{name}]")
    for name, amount in sorted(requests.items()):
        found += _resource(name, amount, f"{path}.requests[{name}]")
        limit = limits.get(name)
        if limit is not None:
            asked, capped = quantity.parse(amount), quantity.parse(limit)
            if asked != capped and not _overcommits(name):
                text = f"must be equal to {name} limit of {limit}"
                found.append(fields.invalid(f"{path}.requests", amount, text))
            elif capped < asked:
                text = f"must be less than or equal to {name} limit of {limit}"
                found.append(fields.invalid(f"{path}.requests", amount, text))
        elif not _overcommits(name):
            text = "Limit must be set for non overcommitable resources"
            found.append(fields.required(f"{path}.limits", text))
    return found


def _overcommits(name: str) -> bool:
    """Native resources can be promised twice; extended ones and huge pages cannot."""
    return "/" not in name and not name.startswith(_HUGE)


def _resource(name: str, amount: str, path: str) -> Problems:
    found: Problems = named(names.qualified_name(name), name, path)
    if "/" not in name and name not in _STANDARD and not name.startswith(_HUGE):
        found.append(fields.invalid(path, name, "must be a standard resource type or fully qualified"))
    if "/" not in name and name not in _CONTAINER_RESOURCES and not name.startswith(_HUGE):
        found.append(fields.invalid(path, name, "must be a standard resource for containers"))
    parsed = quantity.parse(amount)
    if parsed.sign < 0:
        found.append(fields.invalid(path, amount, checks.NOT_NEGATIVE))
    elif "/" in name and parsed.milli_value() % 1000:
        found.append(fields.invalid(path, amount, "must be an integer"))
    return found


def _resize_policy(listed: Any, path: str) -> Problems:
    found: Problems = []
    seen: set[str] = set()
    for index, item in enumerate(listed):
        name, policy = item.get("resourceName", ""), item.get("restartPolicy", "")
        if name in seen:
            found.append(fields.duplicate(f"{path}[{index}]", name))
        seen.add(name)
        if name not in ("cpu", "memory"):
            found.append(fields.not_supported(path, name, ["cpu", "memory"]))
        if policy not in ("NotRequired", "RestartContainer"):
            found.append(fields.not_supported(path, policy, ["NotRequired", "RestartContainer"]))
    return found
