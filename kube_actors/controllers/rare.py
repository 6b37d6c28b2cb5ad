"""Controllers of kinds that few clusters have objects of: each is loaded when it starts, which is late.

Owns the table of them and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .contract import Controller

if TYPE_CHECKING:
    from .manager import Options


def _loaded(module: str, name: str) -> Callable[[Options], Controller[Any]]:
    """A controller that takes no options."""

    def make(options: Options) -> Controller[Any]:
        found: Controller[Any] = getattr(import_module(f"{__package__}.{module}"), name)()
        return found

    return make


CONTROLLERS: dict[str, Callable[[Options], Controller[Any]]] = {
    "job-controller": _loaded("job", "Jobs"),
    "resourceclaim-controller": _loaded("resourceclaims", "ResourceClaims"),
}
