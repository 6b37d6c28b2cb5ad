"""Objects that several informers of one process read from the very same bytes, decoded once for all of them.

Owns a few places for what was decoded last. In one process the API server hands every watcher the stored bytes
themselves, so that the scheduler, the controllers and a node can share one frozen object, and the memory it takes.
It never looks at what bytes say: other bytes of the same content are other bytes.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from msgspec import Struct

from . import limits
from .decoding import decode

T = TypeVar("T")

# A place is read and written in one step, so threads with clusters of their own need no lock.
_places: list[tuple[bytes, type[Any], Any] | None] = [None] * limits.SHARED_OBJECTS


def decode_shared(data: bytes, kind: type[T]) -> T:
    """As `decode`; for readers that share their objects with others anyway."""
    if len(data) > limits.SHARED_OBJECT_BYTES or not issubclass(kind, Struct):
        return decode(data, kind)
    place = (id(data) >> 4) % limits.SHARED_OBJECTS
    kept = _places[place]
    if kept is not None and kept[0] is data and kept[1] is kind:
        return cast(T, kept[2])
    value = decode(data, kind)
    _places[place] = (data, kind, value)
    return value
