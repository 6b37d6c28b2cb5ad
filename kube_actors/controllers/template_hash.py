"""The hash that names a pod template: label pod-template-hash, and the end of a ReplicaSet's name.

Pure. One function decides it for all controllers.
"""

from __future__ import annotations

import functools

from kube_actors.api import codec
from kube_actors.api.types.core_v1 import PodTemplateSpec

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_FNV_OFFSET = 2166136261
_FNV_PRIME = 16777619
_CACHE_SIZE = 1024


def fnv1a(data: bytes, state: int = _FNV_OFFSET) -> int:
    """The 32-bit FNV-1a hash."""
    for byte in data:
        state = ((state ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return state


def safe_encode(text: str) -> str:
    """The text in letters that spell no words (apimachinery, util/rand)."""
    return "".join(_ALPHABET[ord(letter) % len(_ALPHABET)] for letter in text)


def pod_template_hash(template: PodTemplateSpec, collision_count: int | None) -> str:
    """The hash of a template; another one for every collision counted."""
    state = fnv1a(_text_of(codec.encode(template)))
    if collision_count is not None:
        state = fnv1a(collision_count.to_bytes(8, "little"), state)
    return safe_encode(str(state))


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _text_of(encoded: bytes) -> bytes:
    return encoded
