"""What this API server lets containers ask for: kube-apiserver's flag --allow-privileged.

Owns one answer for the request being served. Validation is made of functions of an object alone, so the server says
it once around each request, and several servers of one process may differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_allowed: ContextVar[bool] = ContextVar("privileged containers are allowed", default=True)


def privileged_allowed() -> bool:
    """Whether a container may be privileged."""
    return _allowed.get()


@contextmanager
def without_privileged() -> Iterator[None]:
    """Refuse privileged containers meanwhile, in this task."""
    token = _allowed.set(False)
    try:
        yield
    finally:
        _allowed.reset(token)
