"""The controllers: each turns what it sees of one kind into the actions that bring it nearer to what is wanted.

A controller is a pure plan; one runner makes an actor of it. This package talks to the API through `client` only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .manager import ControllerManager, Options, known_controllers

_HOME_OF = {"ControllerManager": "manager", "Options": "manager", "known_controllers": "manager"}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


__all__ = ["ControllerManager", "Options", "known_controllers"]
