"""The checks of the restricted level, and the table of both levels in the order in which they are reported."""

from __future__ import annotations

from collections.abc import Callable

from kube_actors.apiserver.admission.pod_security import baseline
from kube_actors.apiserver.admission.pod_security.baseline import (
    JSONObject,
    Violation,
    containers,
    good_seccomp,
    in_user_namespace,
    named,
    plural,
    quoted,
    security,
    setters,
)
from kube_actors.apiserver.admission.pod_security.levels import BASELINE, PRIVILEGED, Level

Check = Callable[[JSONObject, JSONObject, int], Violation | None]


def _on_windows(spec: JSONObject, minor: int) -> bool:
    """What means nothing on Windows is not asked of a pod that says it is for Windows, since 1.25."""
    return minor >= 25 and (spec.get("os") or {}).get("name") == "windows"


def privilege_escalation(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    if minor < 8 or _on_windows(spec, minor):
        return None
    names = [c["name"] for c in containers(spec) if security(c).get("allowPrivilegeEscalation") is not False]
    if not names:
        return None
    detail = f"{named(names)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", detail)


def capabilities(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    if minor < 22 or _on_windows(spec, minor):
        return None
    keeping: list[str] = []
    adding: list[str] = []
    added: set[str] = set()
    for container in containers(spec):
        found = security(container).get("capabilities") or {}
        if "ALL" not in (found.get("drop") or ()):
            keeping.append(container["name"])
        extra = set(found.get("add") or ()) - {"NET_BIND_SERVICE"}
        if extra:
            adding.append(container["name"])
            added |= extra
    what = []
    if keeping:
        what.append(f'{named(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        what.append(f"{named(adding)} must not include {quoted(sorted(added))} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(what)) if what else None


def proc_mount(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    return baseline.proc_mount_strictly(metadata, spec, minor)


_VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
     "image"}
)  # fmt: skip


def volumes(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    names: list[str] = []
    kinds: set[str] = set()
    for volume in spec.get("volumes") or ():
        used = [key for key, value in volume.items() if key != "name" and value is not None]
        if not _VOLUMES.intersection(used):
            names.append(volume["name"])
            kinds.add(used[0] if used else "unknown")
    if not names:
        return None
    verb = "uses" if len(names) == 1 else "use"
    what = plural("restricted volume type", len(kinds))
    return Violation(
        "restricted volume types",
        f"{plural('volume', len(names))} {quoted(names)} {verb} {what} {quoted(sorted(kinds))}",
    )


def run_as_non_root(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    if minor >= 35 and in_user_namespace(spec):
        return None
    wanted = security(spec).get("runAsNonRoot")
    explicit = [c["name"] for c in containers(spec) if security(c).get("runAsNonRoot") is False]
    silent = [c["name"] for c in containers(spec) if security(c).get("runAsNonRoot") is None]
    who = setters(wanted is False, explicit)
    if who:
        return Violation("runAsNonRoot != true", f"{who} must not set securityContext.runAsNonRoot=false")
    if silent and not wanted:
        detail = f"pod or {named(silent)} must set securityContext.runAsNonRoot=true"
        return Violation("runAsNonRoot != true", detail)
    return None


def run_as_user(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    if minor < 23 or (minor >= 35 and in_user_namespace(spec)):
        return None
    who = setters(
        security(spec).get("runAsUser") == 0,
        [c["name"] for c in containers(spec) if security(c).get("runAsUser") == 0],
    )
    return Violation("runAsUser=0", f"{who} must not set runAsUser=0") if who else None


def seccomp(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    if minor < 19 or _on_windows(spec, minor):
        return None
    explicit = baseline.seccomp(metadata, spec, minor)
    if explicit is not None:
        return explicit
    profile = security(spec).get("seccompProfile")
    silent = [c["name"] for c in containers(spec) if security(c).get("seccompProfile") is None]
    if not silent or (profile is not None and good_seccomp(profile.get("type", ""))):
        return None
    kinds = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", f"pod or {named(silent)} must set {kinds}")


_COMMON: tuple[Check, ...] = (
    baseline.app_armor,
    baseline.host_namespaces,
    baseline.host_ports,
    baseline.host_probes,
    baseline.privileged,
    baseline.se_linux_options,
    baseline.sysctls,
    baseline.windows_host_process,
)
"""Asked of both levels."""

_BASELINE: tuple[Check, ...] = (
    baseline.app_armor,
    baseline.capabilities,
    baseline.host_namespaces,
    baseline.host_path_volumes,
    baseline.host_ports,
    baseline.host_probes,
    baseline.privileged,
    baseline.proc_mount,
    baseline.se_linux_options,
    baseline.seccomp,
    baseline.sysctls,
    baseline.windows_host_process,
)
_RESTRICTED: tuple[tuple[int, Check, Check | None], ...] = (
    (8, privilege_escalation, None),
    (22, capabilities, baseline.capabilities),
    (35, proc_mount, baseline.proc_mount),
    (0, volumes, None),
    (0, run_as_non_root, None),
    (23, run_as_user, None),
    (19, seccomp, baseline.seccomp),
)
"""By the version that brought it: the check, and the baseline check that it takes the place of."""


def violations(level: Level, metadata: JSONObject, spec: JSONObject) -> list[Violation]:
    """Everything in which the pod does not meet the level."""
    if level.name == PRIVILEGED:
        return []
    minor = level.minor
    if level.name == BASELINE:
        checks: list[Check] = list(_BASELINE)
    else:
        checks = [*_COMMON]
        checks += [old for since, _, old in _RESTRICTED if old is not None and minor < since]
        checks += [check for since, check, _ in _RESTRICTED if minor >= since]
    return [found for check in checks if (found := check(metadata, spec, minor)) is not None]
