"""What is wrong with a workload file or a run of it, in one line for people."""

from __future__ import annotations

from kube_actors.assembly.config import ConfigError


class WorkloadError(ConfigError):
    """A workload file that cannot be meant, or a run that did not come to its end; the message names the place."""
