"""The functions of CEL and of Kubernetes' libraries, by topic; `functions()` is all of them as one registry.

A topic's module owns a table FUNCTIONS: signature to Python callable. The callables are pure.
"""

from __future__ import annotations

import functools

from kube_actors.cel.library import addresses, amounts, authorizer, core, formats, lists, optionals, strings, times
from kube_actors.cel.overloads import Registry, declare


@functools.cache
def functions() -> Registry:
    """Every function there is. Read on first use; never change it."""
    registry: Registry = {}
    for topic in (core, strings, times, lists, optionals, amounts, addresses, formats, authorizer):
        declare(registry, topic.FUNCTIONS)
    return registry


__all__ = ["functions"]
