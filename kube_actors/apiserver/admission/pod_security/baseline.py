"""The checks of the baseline level: what gives a pod power over its node.

Each takes the pod's metadata and spec and the minor version to be judged by, and gives what is wrong, or None.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kube_actors.api.field_errors import quote

JSONObject = Mapping[str, Any]


class Violation(NamedTuple):
    """Why a pod does not meet a level, in short and in full."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


def containers(spec: JSONObject) -> Iterator[JSONObject]:
    """All of a pod's containers, in the order in which Kubernetes looks at them."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(key) or ()


def security(holder: JSONObject) -> JSONObject:
    return holder.get("securityContext") or {}


def quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def plural(word: str, count: int) -> str:
    return word if count == 1 else word + "s"


def named(names: list[str]) -> str:
    """container "a" or containers "a", "b"."""
    return f"{plural('container', len(names))} {quoted(names)}"


def setters(pod: bool, names: list[str]) -> str:
    """Who set something: pod, containers, or both."""
    return " and ".join([*(["pod"] if pod else []), *([named(names)] if names else [])])


def in_user_namespace(spec: JSONObject) -> bool:
    """Root inside such a pod is nobody outside of it."""
    return spec.get("hostUsers") is False


_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"


def app_armor(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    def bad(holder: JSONObject) -> str:
        kind = (security(holder).get("appArmorProfile") or {}).get("type", "")
        return "" if kind in ("", "RuntimeDefault", "Localhost") else kind

    values = {bad(spec)} | {bad(container) for container in containers(spec)}
    who = [setters(bool(bad(spec)), [c["name"] for c in containers(spec) if bad(c)])]
    notes = sorted(
        f"{key}={quote(value)}"
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(_APP_ARMOR) and not (value in ("", "runtime/default") or value.startswith("localhost/"))
    )
    if notes:
        who.append(plural("annotation", len(notes)))
    shown = [*sorted(values - {""}), *notes]
    if not shown:
        return None
    by = " and ".join(text for text in who if text)
    detail = f"{by} must not set AppArmor profile type to {quoted(shown)}"
    return Violation(plural("forbidden AppArmor profile", len(shown)), detail)


_CAPABILITIES = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
     "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)  # fmt: skip


def capabilities(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    bad: dict[str, set[str]] = {}
    for container in containers(spec):
        added = set((security(container).get("capabilities") or {}).get("add") or ())
        if added - _CAPABILITIES:
            bad[container["name"]] = added - _CAPABILITIES
    if not bad:
        return None
    names = sorted(set().union(*bad.values()))
    detail = f"{named(list(bad))} must not include {quoted(names)} in securityContext.capabilities.add"
    return Violation("non-default capabilities", detail)


def host_namespaces(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    found = [f"{key}=true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    return Violation("host namespaces", ", ".join(found)) if found else None


def host_path_volumes(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    names = [volume["name"] for volume in spec.get("volumes") or () if volume.get("hostPath") is not None]
    return Violation("hostPath volumes", f"{plural('volume', len(names))} {quoted(names)}") if names else None


def host_ports(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    names: list[str] = []
    ports: set[str] = set()
    for container in containers(spec):
        used = {str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")}
        if used:
            names.append(container["name"])
            ports |= used
    if not names:
        return None
    verb = "uses" if len(names) == 1 else "use"
    return Violation("hostPort", f"{named(names)} {verb} {plural('hostPort', len(ports))} {', '.join(sorted(ports))}")


def host_probes(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    if minor < 34:
        return None
    names: list[str] = []
    hosts: set[str] = set()
    for container in containers(spec):
        lifecycle = container.get("lifecycle") or {}
        handlers = [container.get(key) for key in ("livenessProbe", "readinessProbe", "startupProbe")]
        handlers += [lifecycle.get("postStart"), lifecycle.get("preStop")]
        found = {
            host
            for handler in handlers
            for key in ("httpGet", "tcpSocket")
            if (host := ((handler or {}).get(key) or {}).get("host"))
        }
        if found:
            names.append(container["name"])
            hosts |= found
    if not names:
        return None
    names.sort()
    verb = "uses" if len(names) == 1 else "use"
    what = plural("probe or lifecycle host", len(hosts))
    return Violation("probe or lifecycle host", f"{named(names)} {verb} {what} {quoted(sorted(hosts))}")


def privileged(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    names = [container["name"] for container in containers(spec) if security(container).get("privileged")]
    return Violation("privileged", f"{named(names)} must not set securityContext.privileged=true") if names else None


def proc_mount(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    """As baseline has it: a pod with user namespaces may do it, since 1.35."""
    return None if minor >= 35 and in_user_namespace(spec) else proc_mount_strictly(metadata, spec, minor)


def proc_mount_strictly(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    bad = {c["name"]: kind for c in containers(spec) if (kind := security(c).get("procMount")) not in (None, "Default")}
    if not bad:
        return None
    detail = f"{named(list(bad))} must not set securityContext.procMount to {quoted(sorted(set(bad.values())))}"
    return Violation("procMount", detail)


def se_linux_options(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    known = {"", "container_t", "container_init_t", "container_kvm_t"}
    if minor >= 31:
        known.add("container_engine_t")
    kinds: set[str] = set()
    flags = {"user": False, "role": False}

    def bad(holder: JSONObject) -> bool:
        options = security(holder).get("seLinuxOptions") or {}
        kind = options.get("type", "")
        wrong = kind not in known
        if wrong:
            kinds.add(kind)
        for key in flags:
            if options.get(key):
                flags[key] = wrong = True
        return wrong

    who = setters(bad(spec), [container["name"] for container in containers(spec) if bad(container)])
    if not who:
        return None
    what = [f"{plural('type', len(kinds))} {quoted(sorted(kinds))}"] if kinds else []
    what += [f"{key} may not be set" for key, found in flags.items() if found]
    return Violation("seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(what)}")


def good_seccomp(kind: str) -> bool:
    return kind in ("Localhost", "RuntimeDefault")


def seccomp(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    if minor < 19:
        return _seccomp_annotations(metadata, spec)
    kinds: set[str] = set()

    def bad(holder: JSONObject) -> bool:
        profile = security(holder).get("seccompProfile")
        if profile is None or good_seccomp(profile.get("type", "")):
            return False
        kinds.add(profile.get("type", ""))
        return True

    who = setters(bad(spec), [container["name"] for container in containers(spec) if bad(container)])
    if not who:
        return None
    detail = f"{who} must not set securityContext.seccompProfile.type to {quoted(sorted(kinds))}"
    return Violation("seccompProfile", detail)


def _seccomp_annotations(metadata: JSONObject, spec: JSONObject) -> Violation | None:
    annotations = metadata.get("annotations") or {}
    keys = ["seccomp.security.alpha.kubernetes.io/pod"]
    keys += [f"container.seccomp.security.alpha.kubernetes.io/{c['name']}" for c in containers(spec)]
    bad = sorted(
        f"{key}={quote(annotations[key])}"
        for key in keys
        if key in annotations
        and not (annotations[key] in ("runtime/default", "docker/default") or annotations[key].startswith("localhost/"))
    )
    if not bad:
        return None
    return Violation("seccompProfile", f"forbidden {plural('annotation', len(bad))} {', '.join(bad)}")


_SYSCTLS = {
    0: ("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"),
    27: ("net.ipv4.ip_local_reserved_ports",),
    29: ("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
         "net.ipv4.tcp_keepalive_probes"),
    32: ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
}  # fmt: skip
"""Harmless kernel parameters by the minor version that added them."""


def sysctls(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    known = {name for since, names in _SYSCTLS.items() if since <= minor for name in names}
    bad = [item["name"] for item in security(spec).get("sysctls") or () if item.get("name") not in known]
    return Violation("forbidden sysctls", ", ".join(bad)) if bad else None


def windows_host_process(metadata: JSONObject, spec: JSONObject, minor: int) -> Violation | None:
    def bad(holder: JSONObject) -> bool:
        return bool((security(holder).get("windowsOptions") or {}).get("hostProcess"))

    who = setters(bad(spec), [container["name"] for container in containers(spec) if bad(container)])
    detail = f"{who} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", detail) if who else None
