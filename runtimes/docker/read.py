"""From the JSON of Docker's API to the contract's values. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runtimes.contract import (
    Container,
    ContainerState,
    ContainerStats,
    ContainerStatus,
    EngineInfo,
    Image,
    Mount,
    NotFound,
    Sandbox,
)
from runtimes.labels import SANDBOX_ID, Record, read_record
from runtimes.timestamps import parse_seconds

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i386": "386", "i686": "386"}
_STATES: dict[str, ContainerState] = {
    "created": "created",
    "running": "running",
    "paused": "running",
    "restarting": "running",
    "removing": "exited",
    "exited": "exited",
    "dead": "exited",
}


def record_of(labels: Mapping[str, str] | None, identity: str) -> Record:
    record = read_record(labels or {})
    if record is None:
        raise NotFound(f"{identity[:12]} was not made by this program")
    return record


def read_info(raw: Mapping[str, Any], storage_bytes: int) -> EngineInfo:
    machine = str(raw.get("Architecture", ""))
    return EngineInfo(
        engine="docker",
        version=str(raw.get("ServerVersion", "")),
        cpus=int(raw.get("NCPU", 0)),
        memory_bytes=int(raw.get("MemTotal", 0)),
        storage_bytes=storage_bytes,
        os=str(raw.get("OSType", "linux")),
        architecture=_ARCHITECTURES.get(machine, machine),
        kernel=str(raw.get("KernelVersion", "")),
        os_image=str(raw.get("OperatingSystem", "")),
    )


def read_sandbox(raw: Mapping[str, Any]) -> Sandbox:
    """From an inspection. Docker's listings give whole seconds, so that is what both give."""
    return _sandbox(
        raw["Id"],
        raw["Config"]["Labels"],
        raw["State"]["Status"],
        float(int(parse_seconds(raw["Created"]))),
        raw.get("NetworkSettings"),
    )


def read_listed_sandbox(raw: Mapping[str, Any]) -> Sandbox:
    return _sandbox(raw["Id"], raw["Labels"], raw["State"], float(raw["Created"]), raw.get("NetworkSettings"))


def _sandbox(
    identity: str, labels: Mapping[str, str], state: str, created_at: float, network: Mapping[str, Any] | None
) -> Sandbox:
    record = record_of(labels, identity)
    ready = _STATES.get(state) == "running"
    ips: list[str] = []
    for endpoint in ((network or {}).get("Networks") or {}).values():
        for key in ("IPAddress", "GlobalIPv6Address"):
            if endpoint.get(key):
                ips.append(endpoint[key])
    return Sandbox(
        id=identity,
        name=record.name,
        uid=record.uid,
        namespace=record.namespace,
        attempt=record.attempt,
        state="ready" if ready else "notready",
        created_at=created_at,
        ip=ips[0] if ips else "",
        ips=tuple(ips),
        host_network=record.host_network,
        labels=record.labels,
        annotations=record.annotations,
    )


def read_listed_container(raw: Mapping[str, Any]) -> Container:
    record = record_of(raw["Labels"], raw["Id"])
    return Container(
        id=raw["Id"],
        sandbox_id=raw["Labels"].get(SANDBOX_ID, ""),
        name=record.name,
        attempt=record.attempt,
        image=record.image,
        image_id=raw.get("ImageID", ""),
        state=_STATES.get(raw["State"], "unknown"),
        created_at=float(raw["Created"]),
        labels=record.labels,
        annotations=record.annotations,
    )


def read_status(raw: Mapping[str, Any]) -> ContainerStatus:
    labels = raw["Config"]["Labels"]
    record = record_of(labels, raw["Id"])
    process = raw["State"]
    state = _STATES.get(process["Status"], "unknown")
    code = int(process.get("ExitCode", 0))
    # Docker leaves a container whose process could not be started in "created", with a code and an error.
    failed_start = state == "created" and code != 0
    if failed_start:
        state = "exited"
    exited = state == "exited"
    oom = exited and bool(process.get("OOMKilled"))
    reason = ""
    if exited:
        reason = "StartError" if failed_start else "OOMKilled" if oom else "Completed" if code == 0 else "Error"
    return ContainerStatus(
        id=raw["Id"],
        sandbox_id=labels.get(SANDBOX_ID, ""),
        name=record.name,
        attempt=record.attempt,
        image=record.image,
        image_id=raw["Image"],
        state=state,
        created_at=parse_seconds(raw["Created"]),
        started_at=parse_seconds(process.get("StartedAt", "")),
        finished_at=parse_seconds(process.get("FinishedAt", "")) if exited else 0.0,
        exit_code=code if exited else None,
        oom_killed=oom,
        reason=reason,
        message=str(process.get("Error") or ""),
        pid=int(process.get("Pid", 0)),
        tty=bool(raw["Config"].get("Tty")),
        labels=record.labels,
        annotations=record.annotations,
        mounts=tuple(_mount(mount) for mount in raw["HostConfig"].get("Mounts") or ()),
    )


def _mount(raw: Mapping[str, Any]) -> Mount:
    propagation = (raw.get("BindOptions") or {}).get("Propagation", "")
    return Mount(
        host_path=raw["Source"],
        container_path=raw["Target"],
        read_only=bool(raw.get("ReadOnly")),
        propagation=propagation if propagation in ("rslave", "rshared") else "private",
    )


def read_image(raw: Mapping[str, Any]) -> Image:
    """From an inspection or a listing; only the former knows user and command."""
    config = raw.get("Config") or {}
    return Image(
        id=raw["Id"],
        tags=_real(raw.get("RepoTags")),
        digests=_real(raw.get("RepoDigests")),
        size_bytes=int(raw.get("Size", 0)),
        user=str(config.get("User") or ""),
        command=tuple(config.get("Entrypoint") or ()) + tuple(config.get("Cmd") or ()),
    )


def _real(names: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(name for name in names or () if "<none>" not in name)


def read_stats(identity: str, raw: Mapping[str, Any]) -> ContainerStats | None:
    """None for what does not run: Docker answers with empty counters then."""
    memory = raw.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    inactive = int(details.get("total_inactive_file", details.get("inactive_file", 0)))
    usage = int(memory["usage"])
    return ContainerStats(
        id=identity,
        time=parse_seconds(raw["read"]),
        cpu_usage_ns=int(raw["cpu_stats"]["cpu_usage"]["total_usage"]),
        memory_usage_bytes=usage,
        memory_working_set_bytes=max(usage - inactive, 0),
    )
