"""Admission of what changes nothing that is stored: connections (exec, attach, proxies), bindings, evictions."""

from __future__ import annotations

from collections.abc import Sequence

from kube_actors.apiserver.admission.chain import Attempt, JSONObject
from kube_actors.apiserver.core import Call

_FLAGS = frozenset({"stdin", "stdout", "stderr", "tty"})
_LISTS = frozenset({"command"})


async def admit_connect(call: Call, kind: str, params: Sequence[tuple[str, str]] = ()) -> None:
    """A connection to a sub-resource; kind is that of its options (PodExecOptions). Raises the refusal."""
    await admit(Attempt(call, "CONNECT", _options(kind, params), None, call.request.subresource.partition("/")[0]))


async def admit_create(call: Call, obj: JSONObject) -> None:
    """The creation of what a sub-resource takes and does not store. May change obj. Raises the refusal."""
    await admit(Attempt(call, "CREATE", obj, None, call.request.subresource))


async def admit(attempt: Attempt) -> None:
    admission = attempt.call.core.admission
    await admission.complete(attempt)
    await admission.check(attempt)


def _options(kind: str, params: Sequence[tuple[str, str]]) -> JSONObject:
    found: JSONObject = {"kind": kind, "apiVersion": "v1"}
    for key, value in params:
        if key in _LISTS:
            found.setdefault(key, []).append(value)
        elif key in _FLAGS:
            if value.lower() in ("true", "1", "t"):
                found[key] = True
        elif key == "ports":
            found.setdefault(key, []).extend(int(port) for port in value.split(",") if port.isdigit())
        else:
            found.setdefault(key, value)
    return found
