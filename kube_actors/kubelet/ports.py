"""Ports by number or name. Pure."""

from __future__ import annotations

from .model import AnyContainer


def port_number(container: AnyContainer, port: int | str) -> int | None:
    """The number of a container's port; None when no port has the name."""
    if isinstance(port, int):
        return port
    if port.isdigit():
        return int(port)
    for declared in container.ports:
        if declared.name == port:
            return declared.container_port
    return None
