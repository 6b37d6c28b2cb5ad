"""Bounds that only the Podman engine needs; those that all engines share are in `runtimes.limits`."""

from __future__ import annotations

API_VERSION = "4.0.0"  # the oldest that every supported Podman serves under its libpod path
WAIT_INTERVAL_MS = 20  # how often Podman itself looks whether a container has ended, when we wait for that
EXEC_POLL_SECONDS = 0.02  # how soon after its output an exec is asked for its exit code again, growing to the next
EXEC_POLL_MAX_SECONDS = 1.0
RESIZE_TRIES = 100  # a terminal's first size comes before the command has started
REMEMBERED_SANDBOXES = 4096  # what is forgotten is read from the engine again
REMEMBERED_FAILURES = 4096  # containers whose start failed, which Podman itself does not remember
EVENT_LOOKBACK_SECONDS = 1  # Podman compares whole seconds; the exact bound is ours
LOG_POLL_SECONDS = 0.1  # how often a followed log file is looked at
PIECE_BYTES = 16 * 1024  # of a line that does not end
