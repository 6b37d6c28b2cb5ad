"""Configurations of the contract as Podman's SpecGenerator. Pure: values in, plain dicts out."""

from __future__ import annotations

from typing import Any

import msgspec

from runtimes.contract import ContainerConfig, Resources, SandboxConfig
from runtimes.labels import container_labels, container_name, sandbox_labels, sandbox_name
from runtimes.pause import PAUSE_IMAGE

_PROPAGATION = {"private": "rprivate", "rslave": "rslave", "rshared": "rshared"}


class SandboxFacts(msgspec.Struct, frozen=True):
    """What a container has to know of its sandbox before it can join."""

    hostname: str
    host_network: bool
    joins_pid: bool  # the sandbox's process namespace (its own or the host's) instead of a private one
    cgroup_parent: str = ""


def sandbox_spec(config: SandboxConfig, lowest_oom_score: int) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "name": sandbox_name(config),
        "image": PAUSE_IMAGE,
        "labels": sandbox_labels(config),
        "systemd": "false",
        "httpproxy": False,
        "stop_timeout": 0,
        "ipcns": {"nsmode": "host" if config.host_ipc else "shareable"},
    }
    if config.host_network:
        spec["netns"] = {"nsmode": "host"}
        spec["utsns"] = {"nsmode": "host"}
    else:
        spec["netns"] = {"nsmode": "bridge"}
        if config.hostname:
            spec["hostname"] = config.hostname
        if config.port_mappings:
            spec["portmappings"] = [
                {
                    "container_port": mapping.container_port,
                    "host_port": mapping.host_port,
                    "host_ip": mapping.host_ip,
                    "protocol": mapping.protocol.lower(),
                }
                for mapping in config.port_mappings
            ]
    if config.host_pid:
        spec["pidns"] = {"nsmode": "host"}
    if config.dns is not None:
        spec["dns_server"] = list(config.dns.servers)
        spec["dns_search"] = list(config.dns.searches) or ["."]  # "." is Podman's word for none at all
        spec["dns_option"] = list(config.dns.options)
    if config.extra_hosts:
        spec["hostadd"] = [f"{name}:{address}" for name, address in config.extra_hosts]
    if config.sysctls:
        spec["sysctl"] = config.sysctls
    if config.cgroup_parent:
        spec["cgroup_parent"] = config.cgroup_parent
    if config.resources is not None:
        _add_resources(spec, config.resources, lowest_oom_score)
    return spec


def container_spec(
    sandbox_id: str, sandbox: SandboxFacts, config: ContainerConfig, lowest_oom_score: int
) -> dict[str, Any]:
    joined = {"nsmode": "container", "value": sandbox_id}
    environment = {"HOSTNAME": sandbox.hostname} if sandbox.hostname else {}
    spec: dict[str, Any] = {
        "name": container_name(sandbox_id, config),
        "image": config.image,
        "labels": container_labels(sandbox_id, config),
        "systemd": "false",
        "httpproxy": False,
        "netns": joined,
        "ipcns": joined,
        "utsns": {"nsmode": "host"} if sandbox.host_network else joined,
        "env": {**environment, **dict(config.env)},
        "log_configuration": {"driver": "k8s-file"},
    }
    if sandbox.joins_pid:
        spec["pidns"] = joined
    if sandbox.cgroup_parent:
        spec["cgroup_parent"] = sandbox.cgroup_parent
    if config.command is not None:
        spec["entrypoint"] = list(config.command)
    if config.args is not None:
        spec["command"] = list(config.args)
    if config.working_dir:
        spec["work_dir"] = config.working_dir
    if config.tty:
        spec["terminal"] = True
    if config.stdin:
        spec["stdin"] = True
    if config.mounts:
        spec["mounts"] = [
            {
                "type": "bind",
                "source": mount.host_path,
                "destination": mount.container_path,
                "options": ["rbind", "ro" if mount.read_only else "rw", _PROPAGATION[mount.propagation]],
            }
            for mount in config.mounts
        ]
    if config.devices:
        spec["devices"] = [
            {"path": f"{device.host_path}:{device.container_path}:{device.permissions}"} for device in config.devices
        ]
    _add_resources(spec, config.resources, lowest_oom_score)
    _add_security(spec, config)
    return spec


def linux_resources(resources: Resources) -> dict[str, Any]:
    """The OCI runtime's form, which Podman takes for creating and for updating alike."""
    cpu = {
        "shares": resources.cpu_shares,
        "quota": resources.cpu_quota_us,
        "period": resources.cpu_period_us,
        "cpus": resources.cpuset_cpus or None,
    }
    swap = resources.memory_swap_limit_bytes
    memory = {
        "limit": resources.memory_limit_bytes,
        "swap": resources.memory_limit_bytes if swap is None else swap,
    }
    groups: dict[str, dict[str, Any]] = {"cpu": cpu, "memory": memory, "pids": {"limit": resources.pids_limit}}
    given = {name: {key: value for key, value in group.items() if value is not None} for name, group in groups.items()}
    return {name: group for name, group in given.items() if group}


def _add_resources(spec: dict[str, Any], resources: Resources, lowest_oom_score: int) -> None:
    limits = linux_resources(resources)
    if limits:
        spec["resource_limits"] = limits
    if resources.oom_score_adj is not None:
        spec["oom_score_adj"] = max(resources.oom_score_adj, lowest_oom_score)


def _add_security(spec: dict[str, Any], config: ContainerConfig) -> None:
    security = config.security
    if security.user:
        spec["user"] = f"{security.user}:{security.group}" if security.group else security.user
    if security.supplemental_groups:
        spec["groups"] = [str(group) for group in security.supplemental_groups]
    if security.privileged:
        spec["privileged"] = True
    if security.capabilities_add:
        spec["cap_add"] = list(security.capabilities_add)
    if security.capabilities_drop:
        spec["cap_drop"] = list(security.capabilities_drop)
    if security.read_only_rootfs:
        spec["read_only_filesystem"] = True
    if security.no_new_privileges:
        spec["no_new_privileges"] = True
    if security.seccomp_unconfined:
        spec["seccomp_profile_path"] = "unconfined"
