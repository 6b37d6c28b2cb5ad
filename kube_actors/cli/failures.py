"""Which failures are expected, and the one line that tells each. Anything else is a bug and keeps its traceback."""

from __future__ import annotations

from kube_actors.actors import Escalated
from kube_actors.api.errors import ApiError
from kube_actors.assembly.config import ConfigError
from kube_actors.assembly.explaining import ExplainError
from kube_actors.assembly.manifests import ManifestError
from kube_actors.assembly.waiting import WaitTimeout
from kube_actors.client import ClientError
from kube_actors.store.contract import StoreError
from kube_actors.wire.errors import WireError
from netproxy.contract import ProxyError
from runtimes.contract import RuntimeFault

EXPECTED: tuple[type[BaseException], ...] = (
    ApiError,
    ClientError,
    ConfigError,
    ExplainError,
    ManifestError,
    ProxyError,
    RuntimeFault,
    StoreError,
    WaitTimeout,
    WireError,
    PermissionError,
    FileNotFoundError,
)


def explain(failure: BaseException) -> str | None:
    """A line for an expected failure; None for a bug of ours."""
    if isinstance(failure, BaseExceptionGroup):
        lines = [explain(each) for each in failure.exceptions]
        known = [line for line in lines if line is not None]
        return known[0] if known and len(known) == len(lines) else None
    if isinstance(failure, Escalated):
        return explain(failure.__cause__) if failure.__cause__ is not None else str(failure)
    if isinstance(failure, EXPECTED):
        return " ".join(str(failure).split())
    return None
