"""What Podman's refusals mean, in the contract's errors. Pure: status and body in, exception out.

Podman answers most refusals with 500; its "cause" is a fixed sentence of its own source and tells them apart.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from runtimes.contract import (
    AlreadyExists,
    ImageNotPresent,
    InvalidConfig,
    NotFound,
    RuntimeFault,
    StartFailed,
    WrongState,
)

Doing = Literal["create", "start", "exec", "image", "other"]

COMMAND_NOT_FOUND = "OCI runtime attempted to invoke a command that was not found"
PERMISSION_DENIED = "OCI permission denied"
EXIT_NOT_FOUND = 127
EXIT_NOT_EXECUTABLE = 126

_BY_CAUSE: dict[str, type[RuntimeFault]] = {
    "no such container": NotFound,
    "no such exec session": NotFound,
    "that name is already in use": AlreadyExists,
    "image not known": ImageNotPresent,
    "no such image": ImageNotPresent,
    "container state improper": WrongState,
    "container is stopped": WrongState,
    "container is running": WrongState,
}


class Refusal(msgspec.Struct, frozen=True):
    cause: str = ""
    message: str = ""


def read_refusal(status: int, body: bytes) -> Refusal:
    try:
        refusal = msgspec.json.decode(body, type=Refusal)
    except msgspec.DecodeError:
        refusal = Refusal(message=body.decode("utf-8", "replace"))
    message = " ".join((refusal.message or refusal.cause).split())
    return Refusal(cause=refusal.cause, message=message or f"podman answered {status}")


def fault_of(status: int, body: bytes, doing: Doing = "other") -> RuntimeFault:
    """The exception for a refusal of what we were doing."""
    refusal = read_refusal(status, body)
    kind = _BY_CAUSE.get(refusal.cause)
    if kind is not None:
        return kind(refusal.message)
    if doing in ("start", "exec"):
        return StartFailed(refusal.message, start_exit_code(refusal.cause or refusal.message))
    if status == 404:
        return ImageNotPresent(refusal.message) if doing == "image" else NotFound(refusal.message)
    if doing == "create" or status == 400:
        return InvalidConfig(refusal.message)
    return RuntimeFault(refusal.message)


def start_exit_code(cause: str) -> int:
    """What a shell would give for a command that could not be started."""
    if COMMAND_NOT_FOUND in cause:
        return EXIT_NOT_FOUND
    if PERMISSION_DENIED in cause:
        return EXIT_NOT_EXECUTABLE
    return 128


def failed_exec(exit_code: int, output: bytes) -> StartFailed | None:
    """Podman tells that an exec could not be started in that exec's own output; recognise it there."""
    if exit_code not in (EXIT_NOT_FOUND, EXIT_NOT_EXECUTABLE) or not output.startswith(b"Error: "):
        return None
    first = output.split(b"\n", 1)[0].decode("utf-8", "replace").strip().removeprefix("Error: ")
    if COMMAND_NOT_FOUND not in first and PERMISSION_DENIED not in first:
        return None
    return StartFailed(first, exit_code)
