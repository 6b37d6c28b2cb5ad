"""How many probes in a row make a verdict. Pure."""

from __future__ import annotations

from kube_actors.api.types.core_v1 import Probe

from .model import ProbeKind


class Counter:
    """Counts results of one probe. A container begins unready, alive and not yet started."""

    def __init__(self, kind: ProbeKind, probe: Probe) -> None:
        self.verdict = kind == "liveness"
        self._kind = kind
        self._failures = probe.failure_threshold or 3
        self._successes = probe.success_threshold or 1
        self._last: bool | None = None
        self._run = 0

    def take(self, ok: bool | None) -> bool | None:
        """One more result; the new verdict if it changed, or if a startup or liveness probe has failed for good.

        None (the probe could not be made) counts for nothing.
        """
        if ok is None:
            return None
        self._run = self._run + 1 if ok is self._last else 1
        self._last = ok
        if self._run < (self._successes if ok else self._failures):
            return None
        if ok == self.verdict and (ok or self._kind == "readiness"):
            return None
        self.verdict = ok
        return ok
