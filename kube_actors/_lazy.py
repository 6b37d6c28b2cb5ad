"""Package doors whose names are loaded when they are first used, so that nobody pays for what he does not use."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


def lazy_names(package: str, home_of: Mapping[str, str]) -> Callable[[str], Any]:
    """A module-level `__getattr__` (PEP 562) for a package: each name comes from its module, once.

    A name that is its own home is a sub-module.
    """

    def __getattr__(name: str) -> Any:
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with _uncollected():
            module = importlib.import_module(f"{package}.{home}")
        value = module if home == name else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection while modules are being made, and what they made counts as old.

    What an import makes stays. Looking for garbage in it finds none, takes time, and brings forward the first look at
    everything, 25 ms, from some quiet moment to the first pods of a cluster. Frozen and thawed at once, objects move to
    the oldest generation unlooked at; it is left out when the program has frozen something itself.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            if gc.get_freeze_count() == 0:
                gc.freeze()
                gc.unfreeze()
            gc.enable()
