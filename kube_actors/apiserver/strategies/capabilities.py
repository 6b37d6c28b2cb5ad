"""What this API server lets containers ask for: kube-apiserver's flag --allow-privileged.

Owns one answer for the request being served. Validation is made of functions of an object alone, so the server says
it once around each request, and several servers of one process may differ.
"""

from __future__ import annotations

from contextvars import ContextVar

_allowed: ContextVar[bool] = ContextVar("privileged containers are allowed", default=True)


def privileged_allowed() -> bool:
    """Whether a container may be privileged."""
    return _allowed.get()


class without_privileged:  # as a context manager is spelt; contextlib's would cost every request more
    """Refuse privileged containers meanwhile, in this task."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _allowed.set(False)

    def __exit__(self, *_: object) -> None:
        _allowed.reset(self._token)
