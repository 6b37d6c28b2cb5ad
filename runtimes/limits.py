"""Every bound that the engines keep, by name. Nothing here buffers or waits without one of these."""

from __future__ import annotations

# Calls to one engine that run at the same time. Engines serialise parts of a start themselves, so more at once only
# makes each one slower.
CONCURRENT_STARTS = 8
CONCURRENT_PULLS = 3
CONCURRENT_CALLS = 64

# How long an engine may take to answer an ordinary call before it counts as Unavailable.
CALL_TIMEOUT_SECONDS = 120.0
CONNECT_TIMEOUT_SECONDS = 5.0
# What a caller's grace period is given on top, for the engine to kill and tidy up.
STOP_MARGIN_SECONDS = 30.0
KILL_WAIT_SECONDS = 10.0

# Streams.
READ_BYTES = 64 * 1024
HEAD_BYTES = 64 * 1024
FRAME_BYTES = 64 * 1024 * 1024  # an engine that announces a longer frame is talking nonsense
EXEC_OUTPUT_BYTES = 16 * 1024 * 1024  # what exec_sync keeps of each stream

# The simulated engine.
SIMULATED_EVENTS = 10_000  # a reader this far behind is cut off
SIMULATED_LOG_LINES = 10_000  # a container keeps its newest
SIMULATED_STREAM_CHUNKS = 256
SIMULATED_REQUEST_BYTES = 64 * 1024
SIMULATED_LINGER_SECONDS = (
    0.05  # a server goes on taking connections after TERM: its clients' proxies learn of it later
)
SIMULATED_FRESH_SECONDS = 1.0  # and how long a connection that was taken may then still take to send its request
