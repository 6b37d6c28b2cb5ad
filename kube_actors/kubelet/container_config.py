"""From a pod to what an engine is told: sandbox, container, security. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from kube_actors.api.types.core_v1 import ContainerPort, Pod
from runtimes.contract import ContainerConfig, Dns, Mount, PortMapping, SandboxConfig, Security

from . import naming, resources
from .config import NodeConfig
from .environment import ConfigError, expand
from .model import AnyContainer, containers_of

HOSTNAME_LENGTH = 63
NON_ROOT = "container has runAsNonRoot and image will run as root"


def hostname_of(pod: Pod) -> str:
    """The pod's host name, cut to what a DNS label holds."""
    if pod.spec.hostname_override:
        return pod.spec.hostname_override
    return (pod.spec.hostname or pod.metadata.name)[:HOSTNAME_LENGTH].rstrip("-.")


def domain_of(pod: Pod, config: NodeConfig) -> str:
    """The domain of a pod that asked for one by `subdomain`; "" otherwise."""
    if not pod.spec.subdomain:
        return ""
    return f"{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{config.cluster_domain}"


def sandbox_config(pod: Pod, config: NodeConfig, attempt: int) -> SandboxConfig:
    spec, metadata = pod.spec, pod.metadata
    context = spec.security_context
    domain = domain_of(pod, config)
    hostname = hostname_of(pod)
    return SandboxConfig(
        name=metadata.name,
        uid=metadata.uid,
        namespace=metadata.namespace,
        attempt=attempt,
        hostname=f"{hostname}.{domain}" if spec.set_hostname_as_fqdn and domain else hostname,
        labels={**metadata.labels, **naming.pod_labels(config.mark, pod)},
        annotations=metadata.annotations,
        host_network=bool(spec.host_network),
        host_pid=bool(spec.host_pid),
        host_ipc=bool(spec.host_ipc),
        share_pid=bool(spec.share_process_namespace),
        dns=dns_of(pod, config),
        extra_hosts=tuple((name, alias.ip) for alias in spec.host_aliases for name in alias.hostnames),
        sysctls={sysctl.name: sysctl.value for sysctl in context.sysctls} if context is not None else {},
        port_mappings=() if spec.host_network else port_mappings(pod),
    )


def port_mappings(pod: Pod) -> tuple[PortMapping, ...]:
    """The host ports of a pod that has a network of its own."""
    return tuple(
        PortMapping(
            container_port=port.container_port,
            host_port=port.host_port or 0,
            host_ip=port.host_ip or "",
            protocol=_protocol(port),
        )
        for container, _ in containers_of(pod)
        for port in container.ports
        if port.host_port
    )


def _protocol(port: ContainerPort) -> Literal["TCP", "UDP", "SCTP"]:
    return "UDP" if port.protocol == "UDP" else "SCTP" if port.protocol == "SCTP" else "TCP"


def dns_of(pod: Pod, config: NodeConfig) -> Dns | None:
    """What resolv.conf is to say; None leaves it to the engine (and so to the host)."""
    spec = pod.spec
    policy = spec.dns_policy or "ClusterFirst"
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.host_network)
    if cluster and config.cluster_dns:
        domain = config.cluster_domain
        servers += config.cluster_dns
        searches += [f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain]
        options.append("ndots:5")
    elif policy != "None" and spec.dns_config is None:
        return None
    own = spec.dns_config
    if own is not None:
        servers += [server for server in own.nameservers if server not in servers]
        searches += [search for search in own.searches if search not in searches]
        for option in own.options:
            name = option.name or ""
            options = [text for text in options if text.partition(":")[0] != name]
            options.append(f"{name}:{option.value}" if option.value is not None else name)
    return Dns(servers=tuple(servers), searches=tuple(searches), options=tuple(options))


def container_config(
    pod: Pod,
    container: AnyContainer,
    config: NodeConfig,
    *,
    image: str,
    attempt: int,
    env: Sequence[tuple[str, str]],
    mounts: Sequence[Mount],
    node_memory: int,
    image_user: str = "",
) -> ContainerConfig:
    """Raises ConfigError when the spec forbids what the image wants."""
    table = dict(env)
    return ContainerConfig(
        name=container.name,
        image=image,
        attempt=attempt,
        command=tuple(expand(word, table) for word in container.command) or None,
        args=tuple(expand(word, table) for word in container.args) or None,
        env=tuple(env),
        working_dir=container.working_dir or "",
        mounts=tuple(mounts),
        labels=naming.container_labels(config.mark, pod, container.name),
        annotations=_annotations(container, attempt),
        tty=bool(container.tty),
        stdin=bool(container.stdin),
        stdin_once=bool(container.stdin_once),
        resources=resources.engine_resources(pod, container, node_memory),
        security=_security(pod, container, image_user),
    )


def _annotations(container: AnyContainer, attempt: int) -> dict[str, str]:
    found = {
        naming.RESTARTS: str(attempt),
        naming.MESSAGE_PATH: container.termination_message_path or "/dev/termination-log",
        naming.MESSAGE_POLICY: container.termination_message_policy or "File",
    }
    if container.ports:
        ports = [
            {
                "name": port.name or "",
                "hostPort": port.host_port or 0,
                "containerPort": port.container_port,
                "protocol": port.protocol or "TCP",
            }
            for port in container.ports
        ]
        found[naming.PORTS] = msgspec.json.encode(ports).decode()
    return found


def _security(pod: Pod, container: AnyContainer, image_user: str) -> Security:
    own, common = container.security_context, pod.spec.security_context
    if own is None and common is None:
        return Security()
    user = own.run_as_user if own is not None else None
    group = own.run_as_group if own is not None else None
    non_root = own.run_as_non_root if own is not None else None
    seccomp = own.seccomp_profile if own is not None else None
    groups: tuple[int, ...] = ()
    if common is not None:
        user = common.run_as_user if user is None else user
        group = common.run_as_group if group is None else group
        non_root = common.run_as_non_root if non_root is None else non_root
        seccomp = common.seccomp_profile if seccomp is None else seccomp
        groups = common.supplemental_groups + ((common.fs_group,) if common.fs_group is not None else ())
    if non_root:
        _check_non_root(pod, container, user, image_user)
    capabilities = own.capabilities if own is not None else None
    return Security(
        user="" if user is None else str(user),
        # An engine takes a group only together with a user.
        group="" if group is None or user is None else str(group),
        supplemental_groups=groups,
        privileged=bool(own is not None and own.privileged),
        capabilities_add=capabilities.add if capabilities is not None else (),
        capabilities_drop=capabilities.drop if capabilities is not None else (),
        read_only_rootfs=bool(own is not None and own.read_only_root_filesystem),
        no_new_privileges=own is not None and own.allow_privilege_escalation is False,
        seccomp_unconfined=seccomp is not None and seccomp.type == "Unconfined",
    )


def _check_non_root(pod: Pod, container: AnyContainer, user: int | None, image_user: str) -> None:
    about = f'(pod: "{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})", container: {container.name})'
    if user == 0:
        raise ConfigError(f"container's runAsUser breaks non-root policy {about}")
    if user is None:
        name = image_user.partition(":")[0]
        if name in ("", "0", "root"):
            raise ConfigError(f"{NON_ROOT} {about}")
        if not name.isdigit():
            problem = f"container has runAsNonRoot and image has non-numeric user ({name})"
            raise ConfigError(f"{problem}, cannot verify user is non-root {about}")
