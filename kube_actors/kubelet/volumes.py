"""One pod's volumes: made before its sandbox, kept up to date while it runs, removed after it.

Owns the pod's directory on the node (`pods/UID` below the node's data directory). Without a data directory nothing is
written and nothing mounted, but what a volume refers to must exist all the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import trio
from msgspec import Struct

from kube_actors.api import quantity
from kube_actors.api.time import parse_time
from kube_actors.api.types.core_v1 import (
    Pod,
    Volume,
    VolumeMount,
    VolumeProjection,
)
from runtimes.contract import Mount

from . import claims, payloads, tokens, volume_files
from .container_config import domain_of, hostname_of
from .context import NodeContext
from .environment import Inputs, expand
from .model import AnyContainer, containers_of
from .payloads import File, PayloadError

_PROPAGATION = {"Bidirectional": "rshared", "HostToContainer": "rslave"}


class VolumeError(Exception):
    """A volume cannot be made now; the message is the kubelet's."""

    def __init__(self, message: str, reason: str = "FailedMount") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class _Token(Struct, frozen=True):
    text: str
    renew_at: float


class PodVolumes:
    """The volumes of one pod. Every method may be repeated."""

    def __init__(self, context: NodeContext, pod: Pod) -> None:
        self._context = context
        self._uid = pod.metadata.uid
        data_dir = context.config.data_dir
        self.directory = os.path.join(data_dir, "pods", self._uid) if data_dir else ""
        self._host_paths: dict[str, str] = {}
        self._read_only: set[str] = set()
        self._tokens: dict[tuple[str, str], _Token] = {}

    async def prepare(self, pod: Pod) -> None:
        """Make every volume. Raises VolumeError for the first that cannot be made."""
        if self.directory:
            await trio.to_thread.run_sync(self._make_root)
        for volume in pod.spec.volumes:
            await self._make(pod, volume, 0.0)

    async def refresh(self, pod: Pod, ips: tuple[str, ...], max_age: float) -> None:
        """Bring files up to date with the objects they come from, as they were so many seconds ago or later; what
        cannot be had now stays as it is."""
        for volume in pod.spec.volumes:
            if payloads.projections_of(volume) is not None:
                try:
                    await self._make(pod, volume, max_age, ips)
                except VolumeError:
                    continue

    def refreshable(self, pod: Pod) -> bool:
        """Whether any of a pod's volumes has files here that follow an object of the API."""
        return bool(self.directory) and any(payloads.projections_of(volume) is not None for volume in pod.spec.volumes)

    def _make_root(self) -> None:
        volume_files.make_directory(self.directory, 0o755)

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, "volumes", name)

    async def _make(self, pod: Pod, volume: Volume, max_age: float, ips: tuple[str, ...] = ()) -> None:
        projected = payloads.projections_of(volume)
        if projected is not None:
            await self._project(pod, volume.name, *projected, max_age, ips)
        elif volume.empty_dir is not None:
            if self.directory:
                await trio.to_thread.run_sync(self._make_empty, volume, _fs_group(pod))
            self._host_paths[volume.name] = self._path(volume.name)
        elif volume.host_path is not None:
            path, kind = volume.host_path.path, volume.host_path.type or ""
            if self.directory:
                complaint = await trio.to_thread.run_sync(volume_files.check_host_path, path, kind)
                if complaint:
                    raise _setup_failed(volume.name, complaint)
            self._host_paths[volume.name] = path
        elif volume.persistent_volume_claim is not None or volume.ephemeral is not None:
            await self._claim(pod, volume)
        elif self.directory:
            raise _setup_failed(volume.name, "no volume plugin matched")

    def _make_empty(self, volume: Volume, group: int | None) -> None:
        path = self._path(volume.name)
        fresh = not os.path.isdir(path)
        volume_files.make_directory(path, 0o777)
        source = volume.empty_dir
        if fresh and source is not None and source.medium == "Memory":
            size = quantity.units(source.size_limit) if source.size_limit else None
            volume_files.mount_memory(path, size)
        if fresh and group is not None and os.geteuid() == 0:
            os.chown(path, -1, group)
            os.chmod(path, 0o2777)

    async def _project(
        self,
        pod: Pod,
        name: str,
        sources: Sequence[VolumeProjection],
        mode: int,
        max_age: float,
        ips: tuple[str, ...],
    ) -> None:
        fetched = await self.inputs(pod, *payloads.references(sources), max_age=max_age, ips=ips)
        try:
            files = payloads.payload(pod, sources, mode, fetched)
        except PayloadError as error:
            raise _setup_failed(name, str(error)) from error
        if not self.directory:
            return
        for wanted in payloads.tokens_of(sources, mode):
            text = await self._token(pod, wanted)
            if text is not None:
                files[wanted.path] = File(text.encode(), wanted.mode)
        stamp = self._context.system.entropy.suffix(12)
        path, group = self._path(name), _fs_group(pod)
        await trio.to_thread.run_sync(volume_files.write_payload, path, files, stamp, group)
        self._host_paths[name] = path

    async def inputs(
        self,
        pod: Pod,
        config_maps: set[str],
        secrets: set[str],
        *,
        max_age: float = 0.0,
        ips: tuple[str, ...] = (),
    ) -> Inputs:
        """The objects that files or variables come from."""
        sources, namespace = self._context.sources, pod.metadata.namespace
        return Inputs(
            config_maps={name: await sources.config_map(namespace, name, max_age) for name in sorted(config_maps)},
            secrets={name: await sources.secret(namespace, name, max_age) for name in sorted(secrets)},
            pod_ips=ips,
            host_ips=self._context.host.ips,
            allocatable=self._context.allocatable,
        )

    async def _token(self, pod: Pod, wanted: payloads.Token) -> str | None:
        """A token of the pod's service account, renewed when most of its life is over; None: the API has none."""
        key = (wanted.path, wanted.audience)
        kept = self._tokens.get(key)
        now = self._context.system.clock.now()
        if kept is not None and now < kept.renew_at:
            return kept.text
        made = await tokens.request(self._context.client, pod, wanted.audience, wanted.seconds)
        if made is None or not made.token:
            return kept.text if kept is not None else None
        expires = parse_time(made.expiration_timestamp) if made.expiration_timestamp else now + wanted.seconds
        self._tokens[key] = _Token(made.token, now + (expires - now) * 0.8)
        return made.token

    async def _claim(self, pod: Pod, volume: Volume) -> None:
        """A persistent volume: a directory of this node, or, where nothing is really mounted, any at all."""
        try:
            bound = await claims.volume_of(self._context.client, pod, volume)
        except claims.ClaimError as error:
            raise VolumeError(str(error)) from error
        chosen, name = volume.persistent_volume_claim, bound.metadata.name
        if chosen is not None and chosen.read_only:
            self._read_only.add(volume.name)
        if not self.directory:
            self._host_paths[volume.name] = ""
            return
        if bound.spec.host_path is not None:
            path, kind = bound.spec.host_path.path, bound.spec.host_path.type or "DirectoryOrCreate"
            complaint = await trio.to_thread.run_sync(volume_files.check_host_path, path, kind)
            if complaint:
                raise _setup_failed(name, complaint)
        elif bound.spec.local is not None:
            path = bound.spec.local.path
            if not await trio.Path(path).exists():
                cause = f'path "{path}" does not exist'
                raise VolumeError(f'MountVolume.NewMounter initialization failed for volume "{name}" : {cause}')
        elif bound.spec.csi is not None:
            cause = f"driver name {bound.spec.csi.driver} not found in the list of registered CSI drivers"
            attacher = "kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient"
            raise VolumeError(f'MountVolume.MountDevice failed for volume "{name}" : {attacher}: {cause}')
        else:
            raise _setup_failed(name, "no volume plugin matched")
        self._host_paths[volume.name] = path

    # Mounts

    def mounts(self, pod: Pod, container: AnyContainer, variables: Mapping[str, str]) -> list[Mount]:
        """What a container sees of the volumes. Raises VolumeError for a sub-path that leads astray."""
        if not self.directory:
            return []
        return [self._mount(container, mount, variables) for mount in container.volume_mounts]

    def _mount(self, container: AnyContainer, mount: VolumeMount, variables: Mapping[str, str]) -> Mount:
        path = self._host_paths.get(mount.name)
        if path is None:
            raise VolumeError(f'cannot find volume "{mount.name}" to mount into container "{container.name}"')
        below = expand(mount.sub_path_expr, variables) if mount.sub_path_expr else mount.sub_path
        if below:
            try:
                path = self._sub_path(path, below)
            except (ValueError, OSError) as error:
                message = f'failed to prepare subPath for volumeMount "{mount.name}" of container "{container.name}"'
                raise VolumeError(f"{message}: {error}") from error
        return Mount(
            host_path=path,
            container_path=mount.mount_path if mount.mount_path.startswith("/") else f"/{mount.mount_path}",
            read_only=bool(mount.read_only) or mount.name in self._read_only,
            propagation="rshared"
            if mount.mount_propagation == "Bidirectional"
            else "rslave"
            if mount.mount_propagation == "HostToContainer"
            else "private",
        )

    def _sub_path(self, root: str, below: str) -> str:
        path = volume_files.safe_join(root, below)
        if not os.path.lexists(path):
            volume_files.make_directory(path, 0o755)
        # A link through ..data would freeze what the engine mounts; the file itself is what it has to be.
        return os.path.realpath(path)

    def message_file(self, container: str, attempt: int) -> str:
        """Where a container's termination message comes to stand on the node; "" without a directory."""
        if not self.directory:
            return ""
        path = os.path.join(self.directory, "containers", container, str(attempt))
        volume_files.touch(path)
        return path

    def message_path(self, container: str, attempt: int) -> str:
        return os.path.join(self.directory, "containers", container, str(attempt)) if self.directory else ""

    def hosts_file(self, pod: Pod, ips: tuple[str, ...]) -> str:
        """The pod's /etc/hosts, which names its own address and its aliases; "" when the engine's is to be used."""
        if not self.directory or (pod.spec.host_network and not pod.spec.host_aliases):
            return ""
        path = os.path.join(self.directory, "etc-hosts")
        os.makedirs(self.directory, exist_ok=True)
        volume_files.write_file(path, hosts_text(pod, ips, domain_of(pod, self._context.config)))
        return path

    async def clean(self) -> None:
        """Remove everything of the pod on disk."""
        if self.directory:
            await trio.to_thread.run_sync(volume_files.remove_tree, self.directory)


def hosts_text(pod: Pod, ips: Sequence[str], domain: str) -> str:
    """The managed hosts file."""
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::\tip6-localnet",
        "fe00::\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
    ]
    name = hostname_of(pod)
    for ip in ips:
        lines.append(f"{ip}\t{name}.{domain}\t{name}" if domain else f"{ip}\t{name}")
    if pod.spec.host_aliases:
        lines.append("\n# Entries added by HostAliases.")
        lines += [f"{alias.ip}\t" + "\t".join(alias.hostnames) for alias in pod.spec.host_aliases]
    return "\n".join(lines) + "\n"


def mounts_something_at(pod: Pod, path: str) -> bool:
    return any(mount.mount_path == path for one, _ in containers_of(pod) for mount in one.volume_mounts)


def _setup_failed(volume: str, cause: str) -> VolumeError:
    return VolumeError(f'MountVolume.SetUp failed for volume "{volume}" : {cause}')


def _fs_group(pod: Pod) -> int | None:
    return pod.spec.security_context.fs_group if pod.spec.security_context is not None else None
