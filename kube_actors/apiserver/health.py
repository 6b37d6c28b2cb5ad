"""/healthz, /livez and /readyz as Kubernetes answers them. Pure; the checks are given.

A check is a function that returns why it fails, or "" when all is well. Reasons are withheld from the answer, since
anonymous users may read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kube_actors.api.messages import Answer

Check = Callable[[], str]
TEXT = "text/plain; charset=utf-8"


def passes() -> str:
    """The check that only shows that somebody answers."""
    return ""


def answer(endpoint: str, checks: Mapping[str, Check], params: Sequence[tuple[str, str]]) -> Answer:
    """The answer of a whole endpoint. endpoint is its name without slashes."""
    excluded = {value for name, value in params if name == "exclude" and value}
    lines, failed = [], False
    for name, check in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
            continue
        if check():
            failed = True
            lines.append(f"[-]{name} failed: reason withheld")
        else:
            lines.append(f"[+]{name} ok")
    unknown = sorted(excluded - set(checks))
    if unknown:
        listed = ", ".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {listed}")
    if failed:
        return _text(500, "\n".join([*lines, f"{endpoint} check failed"]) + "\n")
    if any(name == "verbose" for name, _ in params):
        return _text(200, "\n".join([*lines, f"{endpoint} check passed"]) + "\n")
    return _text(200, "ok")


def one(check: Check) -> Answer:
    """The answer of one check's own path."""
    return _text(500, "internal server error: reason withheld\n") if check() else _text(200, "ok")


def _text(status: int, body: str) -> Answer:
    sniff = (("X-Content-Type-Options", "nosniff"),)
    return Answer(status=status, body=body.encode(), content_type=TEXT, headers=sniff)
