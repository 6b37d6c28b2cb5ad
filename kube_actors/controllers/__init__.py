"""The controllers: each turns what it sees of one kind into the actions that bring it nearer to what is wanted.

A controller is a pure plan; one runner makes an actor of it. This package talks to the API through `client` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kube_actors._lazy import lazy_names

if TYPE_CHECKING:
    from .manager import ControllerManager, Options, enabled, known_controllers

_HOME_OF = {"ControllerManager": "manager", "Options": "manager", "enabled": "manager", "known_controllers": "manager"}
__getattr__ = lazy_names(__name__, _HOME_OF)


__all__ = ["ControllerManager", "Options", "enabled", "known_controllers"]
