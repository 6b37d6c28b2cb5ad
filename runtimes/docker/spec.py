"""From the contract's configurations to the JSON of Docker's API. Pure."""

from __future__ import annotations

from typing import Any

from runtimes.contract import ContainerConfig, Mount, Resources, SandboxConfig, Security
from runtimes.labels import Record, container_labels, sandbox_labels
from runtimes.pause import PAUSE_IMAGE

# json-file keeps logs readable after the end, whatever the daemon's default driver; rotated, so that they are bounded.
LOG_CONFIG = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}


def sandbox_body(config: SandboxConfig, network: str, lowest_oom_score: int) -> dict[str, Any]:
    host: dict[str, Any] = {
        "NetworkMode": "host" if config.host_network else network,
        "IpcMode": "host" if config.host_ipc else "shareable",
        "PidMode": "host" if config.host_pid else "",
        "ReadonlyRootfs": True,
        "SecurityOpt": ["no-new-privileges"],
        "LogConfig": {"Type": "none"},
        **_start_fields(config.resources or Resources(), lowest_oom_score),
    }
    if config.cgroup_parent:
        host["CgroupParent"] = config.cgroup_parent
    if config.dns is not None:
        host["Dns"] = list(config.dns.servers)
        host["DnsSearch"] = list(config.dns.searches) or ["."]  # a dot: none, not the host's
        host["DnsOptions"] = list(config.dns.options)
    if config.extra_hosts:
        host["ExtraHosts"] = [f"{name}:{address}" for name, address in config.extra_hosts]
    if config.sysctls:
        host["Sysctls"] = config.sysctls
    body: dict[str, Any] = {"Image": PAUSE_IMAGE, "Labels": sandbox_labels(config), "HostConfig": host}
    if config.hostname and not config.host_network:
        body["Hostname"] = config.hostname
    if config.port_mappings and not config.host_network:
        bindings: dict[str, list[dict[str, str]]] = {}
        for port in config.port_mappings:
            key = f"{port.container_port}/{port.protocol.lower()}"
            bindings.setdefault(key, []).append({"HostIp": port.host_ip, "HostPort": str(port.host_port)})
        host["PortBindings"] = bindings
        body["ExposedPorts"] = {key: {} for key in bindings}
    return body


def container_body(sandbox_id: str, sandbox: Record, config: ContainerConfig, lowest_oom_score: int) -> dict[str, Any]:
    inside = f"container:{sandbox_id}"
    host: dict[str, Any] = {
        "NetworkMode": inside,
        "IpcMode": "host" if sandbox.host_ipc else inside,
        "PidMode": "host" if sandbox.host_pid else inside if sandbox.share_pid else "",
        "LogConfig": LOG_CONFIG,
        "Mounts": [mount_body(mount) for mount in config.mounts],
        "Devices": [
            {
                "PathOnHost": device.host_path,
                "PathInContainer": device.container_path,
                "CgroupPermissions": device.permissions,
            }
            for device in config.devices
        ],
        **_start_fields(config.resources, lowest_oom_score),
        **security_fields(config.security),
    }
    body: dict[str, Any] = {
        "Image": config.image,
        "Labels": container_labels(sandbox_id, config),
        "Env": [f"{name}={value}" for name, value in dict(config.env).items()],
        "Tty": config.tty,
        "OpenStdin": config.stdin,
        "StdinOnce": config.stdin_once,
        "HostConfig": host,
    }
    if config.command:
        body["Entrypoint"] = list(config.command)
    if config.args:
        body["Cmd"] = list(config.args)
    if config.working_dir:
        body["WorkingDir"] = config.working_dir
    if config.security.user:
        group = f":{config.security.group}" if config.security.group else ""
        body["User"] = config.security.user + group
    return body


def mount_body(mount: Mount) -> dict[str, Any]:
    propagation = "rprivate" if mount.propagation == "private" else mount.propagation
    return {
        "Type": "bind",
        "Source": mount.host_path,
        "Target": mount.container_path,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": propagation},
    }


def _start_fields(resources: Resources, lowest_oom_score: int) -> dict[str, Any]:
    """What is set at a start; only the score against the out-of-memory killer cannot be changed later."""
    fields = update_body(resources)
    if resources.oom_score_adj is not None:
        fields["OomScoreAdj"] = max(resources.oom_score_adj, lowest_oom_score)
    return fields


def update_body(resources: Resources) -> dict[str, Any]:
    """Those fields of HostConfig that are set."""
    fields: dict[str, Any] = {}
    for name, value in (
        ("CpuShares", resources.cpu_shares),
        ("CpuQuota", resources.cpu_quota_us),
        ("CpuPeriod", resources.cpu_period_us),
        ("CpusetCpus", resources.cpuset_cpus or None),
        ("PidsLimit", resources.pids_limit),
    ):
        if value is not None:
            fields[name] = value
    if resources.memory_limit_bytes is not None:
        swap = resources.memory_swap_limit_bytes
        fields["Memory"] = resources.memory_limit_bytes
        fields["MemorySwap"] = resources.memory_limit_bytes if swap is None else swap
    return fields


def security_fields(security: Security) -> dict[str, Any]:
    options = []
    if security.no_new_privileges:
        options.append("no-new-privileges")
    if security.seccomp_unconfined:
        options.append("seccomp=unconfined")
    return {
        "Privileged": security.privileged,
        "ReadonlyRootfs": security.read_only_rootfs,
        "CapAdd": list(security.capabilities_add),
        "CapDrop": list(security.capabilities_drop),
        "GroupAdd": [str(group) for group in security.supplemental_groups],
        "SecurityOpt": options,
    }
