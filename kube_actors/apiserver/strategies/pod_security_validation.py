"""What is wrong with the security contexts of a pod and of its containers, on Linux and on Windows. Pure."""

from __future__ import annotations

import re
from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.capabilities import privileged_allowed
from kube_actors.apiserver.strategies.checks import JSONObject, Problems

_ID_RANGE = "must be between 0 and 2147483647, inclusive"
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL_LENGTH = 253
_SYSCTL_FORM = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = re.compile(_SYSCTL_FORM)
_PROFILE_LENGTH = 4095
_NOT_ON_WINDOWS = "cannot be set for a windows pod"
_NOT_ON_LINUX = "windows options cannot be set for a linux pod"
_POD_LINUX_ONLY = (
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "shareProcessNamespace",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "appArmorProfile",
)
_CONTAINER_LINUX_ONLY = (
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
    "appArmorProfile",
)
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def pod_context(spec: JSONObject, path: str) -> Problems:
    """As validatePodSpecSecurityContext."""
    context, at = spec.get("securityContext") or {}, f"{path}.securityContext"
    found: Problems = []
    for key in ("fsGroup", "runAsUser", "runAsGroup"):
        found += _identity(context.get(key), f"{at}.{key}")
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        found += _identity(group, f"{at}.supplementalGroups[{index}]")
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        found.append(fields.invalid(f"{at}.shareProcessNamespace", True, text))
    if not context:
        return found
    found += _sysctls(context.get("sysctls") or (), f"{at}.sysctls")
    for key, allowed in (
        ("fsGroupChangePolicy", ("Always", "OnRootMismatch")),
        ("supplementalGroupsPolicy", ("Merge", "Strict")),
        ("seLinuxChangePolicy", ("MountOption", "Recursive")),
    ):
        found += checks.one_of(context.get(key), allowed, f"{at}.{key}")
    found += seccomp(context.get("seccompProfile"), f"{at}.seccompProfile")
    return found + app_armor(context.get("appArmorProfile"), f"{at}.appArmorProfile")


def _identity(value: Any, path: str) -> Problems:
    if isinstance(value, int) and not 0 <= value <= 2**31 - 1:
        return [fields.invalid(path, value, _ID_RANGE)]
    return []


def _sysctls(listed: Any, path: str) -> Problems:
    found: Problems = []
    seen: set[str] = set()
    for index, item in enumerate(listed):
        at, name = f"{path}[{index}].name", item.get("name", "")
        if not name:
            found.append(fields.required(at))
        elif len(name) > _SYSCTL_LENGTH or not _SYSCTL.fullmatch(name):
            text = f"must have at most {_SYSCTL_LENGTH} characters and match regex ^{_SYSCTL_FORM}$"
            found.append(fields.invalid(at, name, text))
        elif name in seen:
            found.append(fields.duplicate(at, name))
        seen.add(name)
    return found


def seccomp(profile: JSONObject | None, path: str) -> Problems:
    """As validateSeccompProfileField."""
    if profile is None:
        return []
    found: Problems = []
    kind, where = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        found.append(fields.required(f"{path}.type", "type is required when seccompProfile is set"))
    elif kind not in _PROFILES:
        found.append(fields.not_supported(f"{path}.type", kind, _PROFILES))
    at = f"{path}.localhostProfile"
    if kind != "Localhost":
        if where is not None:
            found.append(fields.invalid(at, where, "can only be set when seccomp type is Localhost"))
    elif where is None:
        found.append(fields.required(at, "must be set when seccomp type is Localhost"))
    else:
        if where.startswith("/"):
            found.append(fields.invalid(at, where, "must be a relative path"))
        if ".." in where.split("/"):
            found.append(fields.invalid(at, where, "must not contain '..'"))
    return found


def app_armor(profile: JSONObject | None, path: str) -> Problems:
    """As ValidateAppArmorProfileField."""
    if profile is None:
        return []
    kind, where, at = profile.get("type", ""), profile.get("localhostProfile"), f"{path}.localhostProfile"
    if not kind:
        return [fields.required(f"{path}.type", "type is required when appArmorProfile is set")]
    if kind not in _PROFILES:
        return [fields.not_supported(f"{path}.type", kind, _PROFILES)]
    if kind != "Localhost":
        return [] if where is None else [fields.invalid(at, where, "can only be set when AppArmor type is Localhost")]
    if not (where or "").strip():
        return [fields.required(at, "must be set when AppArmor type is Localhost")]
    if where != (where or "").strip():
        return [fields.invalid(at, where, "must not be padded with whitespace")]
    return [fields.too_long(at, _PROFILE_LENGTH)] if len(where or "") > _PROFILE_LENGTH else []


def container_context(context: JSONObject | None, path: str, spec: JSONObject) -> Problems:
    """As ValidateSecurityContext."""
    if context is None:
        return []
    found: Problems = []
    if context.get("privileged") and not privileged_allowed():
        found.append(fields.forbidden(f"{path}.privileged", "disallowed by cluster policy"))
    for key in ("runAsUser", "runAsGroup"):
        found += _identity(context.get(key), f"{path}.{key}")
    mount = context.get("procMount")
    if mount is not None and mount not in ("Default", "Unmasked"):
        found.append(fields.not_supported(f"{path}.procMount", mount, ["Default", "Unmasked"]))
    if mount == "Unmasked" and spec.get("hostUsers", True):
        text = "`hostUsers` must be false to use `Unmasked`"
        found.append(fields.invalid(f"{path}.procMount", mount, text))
    found += seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            found.append(fields.invalid(path, go_security_context(context), text))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            found.append(fields.invalid(path, go_security_context(context), text))
    return found + app_armor(context.get("appArmorProfile"), f"{path}.appArmorProfile")


def go_security_context(context: JSONObject) -> Any:
    """A security context as Go's internal type marshals."""
    capabilities = context.get("capabilities")
    shown: JSONObject = {
        "Capabilities": None
        if capabilities is None
        else {"Add": capabilities.get("add"), "Drop": capabilities.get("drop")},
        "Privileged": context.get("privileged"),
        "SELinuxOptions": context.get("seLinuxOptions"),
        "WindowsOptions": context.get("windowsOptions"),
        "RunAsUser": context.get("runAsUser"),
        "RunAsGroup": context.get("runAsGroup"),
        "RunAsNonRoot": context.get("runAsNonRoot"),
        "ReadOnlyRootFilesystem": context.get("readOnlyRootFilesystem"),
        "AllowPrivilegeEscalation": context.get("allowPrivilegeEscalation"),
        "ProcMount": context.get("procMount"),
        "SeccompProfile": context.get("seccompProfile"),
        "AppArmorProfile": context.get("appArmorProfile"),
    }
    return checks.go_value(shown)


def windows(spec: JSONObject, path: str) -> Problems:
    """What a pod for Windows may not ask for."""
    context, at = spec.get("securityContext") or {}, f"{path}.securityContext"
    wrong: list[str] = []
    if context.get("seLinuxOptions") is not None:
        wrong.append(f"{at}.seLinuxOptions")
    wrong += [f"{path}.{key}" for key in ("hostPID", "hostIPC") if spec.get(key)]
    if spec.get("hostUsers") is not None:
        wrong.append(f"{path}.hostUsers")
    for key in _POD_LINUX_ONLY:
        if key == "shareProcessNamespace":
            if spec.get(key) is not None:
                wrong.append(f"{path}.{key}")
        elif context.get(key) is not None:
            wrong.append(f"{at}.{key}")
    for kind in _CONTAINERS:
        for index, container in enumerate(spec.get(kind) or ()):
            own = container.get("securityContext") or {}
            where = f"{path}.{kind}[{index}].securityContext"
            wrong += [f"{where}.{key}" for key in _CONTAINER_LINUX_ONLY if own.get(key) is not None]
    return [fields.forbidden(field, _NOT_ON_WINDOWS) for field in wrong]


def linux(spec: JSONObject, path: str) -> Problems:
    """What a pod for Linux may not ask for."""
    wrong: list[str] = []
    if (spec.get("securityContext") or {}).get("windowsOptions") is not None:
        wrong.append(f"{path}.securityContext.windowsOptions")
    for kind in _CONTAINERS:
        for index, container in enumerate(spec.get(kind) or ()):
            if (container.get("securityContext") or {}).get("windowsOptions") is not None:
                wrong.append(f"{path}.{kind}[{index}].securityContext.windowsOptions")
    return [fields.forbidden(field, _NOT_ON_LINUX) for field in wrong]
