"""What every generated type shares: the struct base and the scalar types with a meaning of their own.

The base never carries behaviour: an object is a value, and what can be done with it lives beside the types.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from kube_actors.api.types._names import NAMES

Quantity = Annotated[str, "quantity"]
"""An amount such as "100m" or "2Gi"; the server writes it as a string, a manifest may hold a number."""

Time = Annotated[str, "time"]
"""A moment in RFC 3339."""

IntOrString = int | str
"""A number, or a name or percentage."""


class Object(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename=NAMES,
    # A frozen tree cannot form a cycle, so the collector need not look at it.
    gc=False,
):
    """Base of all generated structs."""
