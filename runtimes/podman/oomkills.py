"""Whether the kernel killed a process of a container because the container's memory limit was reached.

Podman's monitor learns it, but leaves the note in the wrong directory (conmon 2.1.6 with Podman 4.3), so that
Podman itself says no. The kernel's log tells it for certain, to any process that may read it, as it does to other
nodes' agents; where it may not be read, Podman's own word stands.
"""

from __future__ import annotations

import os
from pathlib import Path

from runtimes import limits


def killed_for_memory(container_id: str, log: Path = Path("/dev/kmsg")) -> bool:
    """Look through the kernel's log once, from its oldest record. Blocking, some milliseconds at most."""
    try:
        device = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    group = f"libpod-{container_id}".encode()
    try:
        while True:
            try:
                record = os.read(device, limits.READ_BYTES)
            except BrokenPipeError:
                continue  # the record was overwritten while we read; the next read is the oldest left
            except OSError:
                return False  # no more records
            if not record:
                return False
            if any(_tells(line, group) for line in record.split(b"\n")):
                return True
    finally:
        os.close(device)


def _tells(line: bytes, group: bytes) -> bool:
    """The kernel's one-line summary of a kill: its constraint, and the killed task's control group."""
    _, found, summary = line.partition(b"oom-kill:")
    if not found:
        return False
    fields = dict(part.split(b"=", 1) for part in summary.split(b",") if b"=" in part)
    return fields.get(b"constraint") == b"CONSTRAINT_MEMCG" and group in fields.get(b"task_memcg", b"")
