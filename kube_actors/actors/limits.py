"""Named limits of the kernel. A component's own limits stand in its own `limits` module."""

MAILBOX_CAPACITY = 1024
"""Messages that wait in a mailbox when its owner names no other capacity."""

STORY_LINES = 20_000
"""Lines that a story keeps; the oldest go first."""

RESTART_INITIAL_SECONDS = 0.1
"""First pause before a failed child is started again."""

RESTART_MAX_SECONDS = 30.0
"""Longest pause between restarts."""

RESTART_LIMIT = 20
"""Failures within RESTART_WINDOW_SECONDS after which a supervisor gives up and fails itself."""

RESTART_WINDOW_SECONDS = 120.0

ASK_TIMEOUT_SECONDS = 60.0
"""How long an ask waits for its answer unless told otherwise."""

IDLE_WORKERS = 64
"""Tasks of a server that wait for the next ask; more end when they have answered."""
