"""How far a container may be shielded from the kernel's out-of-memory killer on this machine.

Without CAP_SYS_RESOURCE nobody can set a score below the one that he has; an engine that tries fails the whole
start. It is our own right that is looked at, which stands for a local engine's. Nothing else is read or decided.
"""

from __future__ import annotations

from pathlib import Path

LOWEST = -1000
_SYS_RESOURCE = 1 << 24


def lowest_oom_score(process: Path = Path("/proc/self")) -> int:
    """The lowest score that a container can be given: -1000 with the right, else this process's own."""
    try:
        status = (process / "status").read_text()
        own = int((process / "oom_score_adj").read_text())
    except OSError:
        return LOWEST  # not Linux, or no /proc: let the engine say no
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return LOWEST if int(effective, 16) & _SYS_RESOURCE else own
