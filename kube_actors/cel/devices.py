"""The CEL of device selectors: what an expression knows of a device, and what it must give.

Owns the environment and the wording of a bad selector. Import it lazily: it brings the whole of CEL.
"""

from __future__ import annotations

import functools

from kube_actors.cel import types
from kube_actors.cel.environment import Environment
from kube_actors.cel.errors import CompileError

_DEVICE = types.object_of(
    "kubernetes.DRADevice",
    {
        "driver": types.STRING,
        "attributes": types.map_of(types.STRING, types.map_of(types.STRING, types.DYN)),
        "capacity": types.map_of(types.STRING, types.map_of(types.STRING, types.opaque("kubernetes.Quantity"))),
        "allowMultipleAllocations": types.BOOL,
    },
)


@functools.cache
def environment() -> Environment:
    """The one variable `device`."""
    return Environment({"device": _DEVICE})


def problem(source: str) -> str:
    """What is wrong with a selector's expression; "" when nothing is."""
    try:
        result = environment().compile(source).result_type
    except CompileError as error:
        return f"compilation failed: {error}"
    if result.kind not in ("bool", "dyn"):
        return f"must evaluate to bool or the unknown type, not {result}"
    return ""
