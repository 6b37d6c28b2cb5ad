"""What a pod spec defaults, in a Pod and in every template alike. Pure; completes the dict it is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

JSONObject = dict[str, Any]

_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_DEFAULTS = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_ISCSI_INTERFACE = "default"
FILE_MODE = 0o644
TOKEN_SECONDS = 3600


def default_template(template: JSONObject) -> None:
    """A pod template's defaults."""
    default_pod_spec(template["spec"])


def default_pod(pod: JSONObject) -> None:
    """A Pod's own defaults, which a template has not."""
    spec = pod["spec"]
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec.get("hostNetwork"):
        _default_host_ports(spec)
    default_status(pod)
    _requests_of_pod(spec)
    for container in containers(spec):
        _requests_from_limits(container)


def default_status(pod: JSONObject) -> None:
    """The defaults of a Pod's status."""
    status = pod.get("status")
    if status:
        _mirror_addresses(status, "podIP", "podIPs")
        _mirror_addresses(status, "hostIP", "hostIPs")


def _mirror_addresses(status: JSONObject, one: str, many: str) -> None:
    """The list and its first element say the same; a single address that differs from the list wins."""
    first, listed = status.get(one), status.get(many)
    if listed and not first:
        status[one] = listed[0].get("ip", "")
    elif first and (not listed or listed[0].get("ip") != first):
        status[many] = [{"ip": first}]


def default_pod_spec(spec: JSONObject) -> None:
    """What every pod spec defaults."""
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    for container in containers(spec):
        default_container(container)
    for volume in spec.get("volumes") or ():
        default_volume(volume)
    _mirror_service_account(spec)


def _mirror_service_account(spec: JSONObject) -> None:
    """serviceAccount is the old name of serviceAccountName; both are always shown."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


def containers(spec: JSONObject) -> Iterator[JSONObject]:
    """Every container of a pod spec."""
    for key in _CONTAINER_LISTS:
        yield from spec.get(key) or ()


def _default_host_ports(spec: JSONObject) -> None:
    for key in ("initContainers", "containers"):
        for container in spec.get(key) or ():
            for port in container.get("ports") or ():
                port["hostPort"] = port.get("hostPort") or port.get("containerPort", 0)


def default_container(container: JSONObject) -> None:
    """One container's defaults."""
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        _default_env(variable)
    for name in _PROBES:
        probe = container.get(name)
        if probe is not None:
            for key, value in _PROBE_DEFAULTS.items():
                probe.setdefault(key, value)
            _default_handler(probe)
    lifecycle = container.get("lifecycle")
    if lifecycle is not None:
        for hook in ("postStart", "preStop"):
            if lifecycle.get(hook) is not None:
                _default_handler(lifecycle[hook])


def pull_policy(image: str) -> str:
    """Always for the tag latest or none, IfNotPresent for any other tag or a digest."""
    if "@" in image:
        return "IfNotPresent"
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _default_env(variable: JSONObject) -> None:
    source = variable.get("valueFrom") or {}
    if source.get("fieldRef") is not None:
        source["fieldRef"].setdefault("apiVersion", "v1")
    if source.get("resourceFieldRef") is not None:
        source["resourceFieldRef"].setdefault("divisor", "0")
    if source.get("fileKeyRef") is not None:
        source["fileKeyRef"].setdefault("optional", False)


def _default_handler(handler: JSONObject) -> None:
    get = handler.get("httpGet")
    if get is not None:
        get.setdefault("path", "/")
        get.setdefault("scheme", "HTTP")
    if handler.get("grpc") is not None:
        handler["grpc"].setdefault("service", "")


def _requests_of_pod(spec: JSONObject) -> None:
    """Limits of the pod as a whole are its requests too."""
    given = spec.get("resources")
    if given and given.get("limits"):
        requests = given.setdefault("requests", {})
        for name, amount in given["limits"].items():
            requests.setdefault(name, amount)


def _requests_from_limits(container: JSONObject) -> None:
    """A limit without a request is the request too."""
    limits = container.get("resources", {}).get("limits")
    if limits:
        requests = container["resources"].setdefault("requests", {})
        for name, amount in limits.items():
            requests.setdefault(name, amount)


_OFF_SOURCES = ("clusterTrustBundle", "podCertificate")
"""Projected sources of features that are off unless asked for: they are left out."""


def default_volume(volume: JSONObject) -> None:
    """A volume without a source is an emptyDir."""
    if len(volume) == 1 or set(volume) == {"name"}:
        volume["emptyDir"] = {}
    for key in ("secret", "configMap", "downwardAPI", "projected"):
        source = volume.get(key)
        if source is not None:
            source.setdefault("defaultMode", FILE_MODE)
            for item in source.get("items") or ():
                _default_item(item)
    if volume.get("projected") is not None:
        for source in volume["projected"].get("sources") or ():
            for key in _OFF_SOURCES:
                source.pop(key, None)
            if source.get("serviceAccountToken") is not None:
                source["serviceAccountToken"].setdefault("expirationSeconds", TOKEN_SECONDS)
            for item in (source.get("downwardAPI") or {}).get("items") or ():
                _default_item(item)
    if volume.get("hostPath") is not None:
        volume["hostPath"].setdefault("type", "")
    if volume.get("image") is not None:
        volume["image"].setdefault("pullPolicy", pull_policy(volume["image"].get("reference", "")))
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if claim is not None and claim.get("spec") is not None:
        claim["spec"].setdefault("volumeMode", "Filesystem")
    default_disk_source(volume)


def _default_item(item: JSONObject) -> None:
    if item.get("fieldRef") is not None:
        item["fieldRef"].setdefault("apiVersion", "v1")
    if item.get("resourceFieldRef") is not None:
        item["resourceFieldRef"].setdefault("divisor", "0")


def default_disk_source(source: JSONObject) -> None:
    """Network disks, as volumes of a pod and as PersistentVolumes."""
    if source.get("iscsi") is not None:
        source["iscsi"].setdefault("iscsiInterface", _ISCSI_INTERFACE)
    if source.get("rbd") is not None:
        for key, value in (("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring")):
            source["rbd"].setdefault(key, value)
    if source.get("azureDisk") is not None:
        disk = source["azureDisk"]
        for key, default in (("cachingMode", "ReadWrite"), ("fsType", "ext4"), ("readOnly", False), ("kind", "Shared")):
            disk.setdefault(key, default)
    if source.get("scaleIO") is not None:
        source["scaleIO"].setdefault("storageMode", "ThinProvisioned")
        source["scaleIO"].setdefault("fsType", "xfs")


_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_PROFILES = {"runtime/default": {"type": "RuntimeDefault"}, "unconfined": {"type": "Unconfined"}}
_LOCALHOST = "localhost/"


def settle_apparmor(pod: JSONObject) -> None:
    """The annotations that once confined containers become the field of today, where the field says nothing itself."""
    annotations = pod["metadata"].get("annotations")
    if not annotations or (pod["spec"].get("os") or {}).get("name") == "windows":
        return
    whole = (pod["spec"].get("securityContext") or {}).get("appArmorProfile")
    for container in containers(pod["spec"]):
        told = annotations.get(_APPARMOR + container.get("name", ""))
        if told is None or ((container.get("securityContext") or {}).get("appArmorProfile")) is not None:
            continue
        profile = _PROFILES.get(told)
        if profile is None and told.startswith(_LOCALHOST) and len(told) > len(_LOCALHOST):
            profile = {"type": "Localhost", "localhostProfile": told.removeprefix(_LOCALHOST)}
        if profile is not None and profile != whole:
            container["securityContext"] = {**(container.get("securityContext") or {}), "appArmorProfile": profile}
