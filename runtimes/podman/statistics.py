"""One container's use of processor and memory.

Podman counts file cache as use of memory; the kernel's own file tells it apart, where it can be seen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio

from runtimes.contract import ContainerStats, WrongState
from runtimes.podman.api import PodmanApi
from runtimes.podman.read import read_state
from runtimes.timestamps import parse_seconds

_MEMORY_ROOTS = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup")  # version 1, version 2
_INACTIVE = ("total_inactive_file", "inactive_file")


async def measure(api: PodmanApi, container_id: str) -> ContainerStats:
    """Of a running container; another is WrongState, NotFound when it is gone."""
    raw = (await api.ask("GET", f"/containers/{container_id}/json")).json()
    if read_state(raw["State"]["Status"]) != "running":
        raise WrongState(f"container {container_id} is not running")
    params = {"stream": "false"}
    taken: dict[str, Any] = (
        await api.ask("GET", f"/containers/{container_id}/stats", params=params, compatible=True)
    ).json()
    usage = int((taken.get("memory_stats") or {}).get("usage") or 0)
    inactive = await trio.to_thread.run_sync(inactive_file_bytes, raw["State"].get("CgroupPath") or "")
    return ContainerStats(
        id=container_id,
        time=parse_seconds(taken["read"]),
        cpu_usage_ns=int(((taken.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage") or 0),
        memory_usage_bytes=usage,
        memory_working_set_bytes=max(usage - inactive, 0),
    )


def inactive_file_bytes(group: str) -> int:
    """Zero where the control group cannot be seen from here (another host, a foreign mount)."""
    for root in _MEMORY_ROOTS if group else ():
        try:
            text = (Path(root + group) / "memory.stat").read_text()
        except OSError:
            continue
        fields = dict(line.split(" ", 1) for line in text.splitlines())
        return int(next((fields[name] for name in _INACTIVE if name in fields), 0))
    return 0
