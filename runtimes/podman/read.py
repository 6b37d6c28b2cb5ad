"""Podman's answers as values of the contract. Pure: decoded JSON in, frozen values out.

What Podman itself does not keep (names, attempts, the caller's labels) comes from the labels that
`runtimes.labels` wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtimes.contract import (
    Container,
    ContainerState,
    ContainerStatus,
    EngineInfo,
    Image,
    Mount,
    NotFound,
    Sandbox,
    StartFailed,
)
from runtimes.labels import KIND, SANDBOX_ID, Record, read_record
from runtimes.podman.spec import SandboxFacts
from runtimes.timestamps import parse_seconds

_STATES: dict[str, ContainerState] = {
    "created": "created",
    "configured": "created",
    "initialized": "created",
    "running": "running",
    "paused": "running",
    "stopping": "running",
    "exited": "exited",
    "stopped": "exited",
    "removing": "exited",
}
_PROPAGATION = {"rslave": "rslave", "slave": "rslave", "rshared": "rshared", "shared": "rshared"}
LOCAL_PREFIX = "localhost/"  # what Podman puts before names that have no registry


def read_state(status: str) -> ContainerState:
    return _STATES.get(status, "unknown")


def record_of(labels: Mapping[str, str] | None, kind: str, identity: str) -> tuple[Record, Mapping[str, str]]:
    record = read_record(labels or {})
    if labels is None or record is None or labels.get(KIND) != kind:
        raise NotFound(f"no such {kind}: {identity}")
    return record, labels


def read_sandbox(raw: Mapping[str, Any]) -> Sandbox:
    """From an inspection."""
    record, _ = record_of(raw["Config"].get("Labels"), "sandbox", raw["Id"])
    running = read_state(raw["State"]["Status"]) == "running"
    addresses = tuple(_addresses(raw.get("NetworkSettings") or {})) if running and not record.host_network else ()
    return Sandbox(
        id=raw["Id"],
        name=record.name,
        uid=record.uid,
        namespace=record.namespace,
        attempt=record.attempt,
        state="ready" if running else "notready",
        created_at=parse_seconds(raw["Created"]),
        ip=addresses[0] if addresses else "",
        ips=addresses,
        host_network=record.host_network,
        labels=record.labels,
        annotations=record.annotations,
    )


def _addresses(settings: Mapping[str, Any]) -> list[str]:
    places = [settings, *(settings.get("Networks") or {}).values()]
    found = [place.get(key) for key in ("IPAddress", "GlobalIPv6Address") for place in places]
    return list(dict.fromkeys(address for address in found if address))


def read_sandbox_facts(raw: Mapping[str, Any], host_name: str) -> SandboxFacts:
    """From an inspection; a sandbox with the host's network has the host's name, whatever Podman says."""
    record, _ = record_of(raw["Config"].get("Labels"), "sandbox", raw["Id"])
    return SandboxFacts(
        hostname=host_name if record.host_network else raw["Config"].get("Hostname", ""),
        host_network=record.host_network,
        joins_pid=record.share_pid or record.host_pid,
        cgroup_parent=raw.get("HostConfig", {}).get("CgroupParent") or "",
    )


def read_container(raw: Mapping[str, Any], failures: Mapping[str, StartFailed]) -> Container:
    """From a listing."""
    record, labels = record_of(raw.get("Labels"), "container", raw["Id"])
    return Container(
        id=raw["Id"],
        sandbox_id=labels.get(SANDBOX_ID, ""),
        name=record.name,
        attempt=record.attempt,
        image=record.image or raw.get("Image", ""),
        image_id=image_id(raw.get("ImageID", "")),
        state="exited" if raw["Id"] in failures else read_state(raw.get("State", "")),
        created_at=parse_seconds(raw["Created"]),
        labels=record.labels,
        annotations=record.annotations,
    )


def read_status(
    raw: Mapping[str, Any], failure: tuple[StartFailed, float] | None = None, *, out_of_memory: bool = False
) -> ContainerStatus:
    """From an inspection; what Podman forgets (a failed start) or overlooks (memory run out) comes from us."""
    record, labels = record_of(raw["Config"].get("Labels"), "container", raw["Id"])
    engine = raw["State"]
    state: ContainerState = "exited" if failure is not None else read_state(engine["Status"])
    started = parse_seconds(engine.get("StartedAt") or "")
    finished = exit_code = None
    reason = message = ""
    oom = out_of_memory or bool(engine.get("OOMKilled"))
    if failure is not None:
        exit_code, finished, reason, message = failure[0].exit_code, failure[1], "StartError", failure[0].message
    elif state == "exited":
        exit_code = int(engine.get("ExitCode") or 0)
        # The kernel's clock tick dates the end, so it can lie before the start of what ran for less than one.
        finished = max(parse_seconds(engine.get("FinishedAt") or ""), started)
        reason = "OOMKilled" if oom else "Completed" if exit_code == 0 else "Error"
        message = engine.get("Error") or ""
    return ContainerStatus(
        id=raw["Id"],
        sandbox_id=labels.get(SANDBOX_ID, ""),
        name=record.name,
        attempt=record.attempt,
        image=record.image or raw.get("ImageName", ""),
        image_id=image_id(raw.get("Image", "")),
        state=state,
        created_at=parse_seconds(raw["Created"]),
        started_at=started,
        finished_at=finished or 0.0,
        exit_code=exit_code,
        oom_killed=oom,
        reason=reason,
        message=message,
        pid=int(engine.get("Pid") or 0),
        tty=bool(raw["Config"].get("Tty")),
        labels=record.labels,
        annotations=record.annotations,
        mounts=tuple(_read_mount(mount) for mount in raw.get("Mounts") or () if mount.get("Type") == "bind"),
    )


def _read_mount(raw: Mapping[str, Any]) -> Mount:
    return Mount(
        host_path=raw["Source"],
        container_path=raw["Destination"],
        read_only=not raw.get("RW", True),
        propagation=_PROPAGATION.get(raw.get("Propagation") or "", "private"),  # type: ignore[arg-type]
    )


def image_id(raw: str) -> str:
    """With its algorithm in front, as other engines write it; Podman takes both."""
    return f"sha256:{raw}" if raw and not raw.startswith("sha256:") else raw


def read_image(raw: Mapping[str, Any]) -> Image:
    """From an inspection or a listing. A local image's tag is given as whoever built it wrote it."""
    config = raw.get("Config") or {}
    tags = raw.get("RepoTags") or raw.get("Names") or ()
    return Image(
        id=image_id(raw["Id"]),
        tags=tuple(tag.removeprefix(LOCAL_PREFIX) for tag in tags),
        digests=tuple(raw.get("RepoDigests") or ()),
        size_bytes=int(raw.get("Size") or 0),
        user=raw.get("User") or config.get("User") or "",
        command=(*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())),
    )


def read_info(raw: Mapping[str, Any]) -> EngineInfo:
    host, store = raw["host"], raw["store"]
    distribution = host.get("distribution") or {}
    codename = f" ({distribution['codename']})" if distribution.get("codename") else ""
    name = str(distribution.get("distribution") or "").capitalize()
    return EngineInfo(
        engine="podman",
        version=raw["version"]["Version"],
        cpus=int(host["cpus"]),
        memory_bytes=int(host["memTotal"]),
        storage_bytes=int(store.get("graphRootAllocated") or 0),
        os=host.get("os", "linux"),
        architecture=host.get("arch", ""),
        kernel=host.get("kernel", ""),
        os_image=f"{name} {distribution.get('version', '')}{codename}".strip(),
    )
