"""From Docker's refusals to the contract's errors. Pure.

Docker tells kinds of failure apart by status and by the wording of its message; both are looked at here and nowhere
else.
"""

from __future__ import annotations

from runtimes.contract import (
    AlreadyExists,
    ImageNotPresent,
    InvalidConfig,
    NotFound,
    RuntimeFault,
    StartFailed,
    Unavailable,
    WrongState,
)

NO_CONNECTION = 900  # aiodocker's own number


def fault_of(status: int, message: str) -> RuntimeFault:
    """The error for a refused call of any kind."""
    message = " ".join(message.split())
    lowered = message.lower()
    if status in (NO_CONNECTION, 502, 503):
        return Unavailable(message)
    if status == 404:
        return ImageNotPresent(message) if "no such image" in lowered else NotFound(message)
    if status == 409:
        return AlreadyExists(message) if "already in use by container" in lowered else WrongState(message)
    if status == 400:
        return InvalidConfig(message)
    if "is not running" in lowered:
        return WrongState(message)
    return RuntimeFault(message)


def start_fault_of(status: int, message: str) -> RuntimeFault:
    """The error for a refused start, where the container's own program is what usually fails."""
    fault = fault_of(status, message)
    lowered = fault.message.lower()
    runtime_failed = any(sign in lowered for sign in ("oci runtime", "runc", "container init", "executable file"))
    if isinstance(fault, Unavailable | WrongState) or (isinstance(fault, NotFound) and not runtime_failed):
        return fault
    if "no such file or directory" in lowered or "executable file not found" in lowered:
        return StartFailed(fault.message, 127)
    if "permission denied" in lowered or "is a directory" in lowered:
        return StartFailed(fault.message, 126)
    return StartFailed(fault.message, 128)
