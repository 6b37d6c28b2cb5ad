"""Named limits and periods of the client side. Seconds unless the name says otherwise."""

# Requests
CONNECT_TIMEOUT_SECONDS = 10.0
"""Opening a connection, TLS included."""

REQUEST_TIMEOUT_SECONDS = 60.0
"""One ordinary request, from the first byte sent to the last byte read."""

WATCH_TIMEOUT_SECONDS = (300, 600)
"""How long the server is asked to keep a watch open: drawn between these, so that watches do not all end at once."""

WATCH_GRACE_SECONDS = 30.0
"""Silence beyond the agreed end of a watch after which its connection counts as dead."""

CONNECTIONS = 512
"""Open connections of one HTTP transport; every running watch holds one."""

IDLE_CONNECTIONS = 16

IDLE_CONNECTION_SECONDS = 60.0

WATCH_LINE_BYTES = 16 * 1024 * 1024
"""Longest single watch event; the API server takes no object of more than 3 MiB."""

TOKEN_REFRESH_SECONDS = 60.0
"""How long a token read from a file is used before the file is read again: the kubelet rotates such files."""

RETRY_AFTER_ATTEMPTS = 10
"""How often a request is sent again because the server said Retry-After."""

RETRY_AFTER_MAX_SECONDS = 30.0
"""Longest pause a Retry-After is obeyed for; a longer one is the caller's decision."""

MODIFY_ATTEMPTS = 6
MODIFY_PAUSE_SECONDS = 0.01
"""Pause after a first conflicting write; it doubles with each."""

PAGE_SIZE = 500
"""Objects a page of a paged list."""

# Reflector
REFLECTOR_BACKOFF_INITIAL_SECONDS = 0.2
REFLECTOR_BACKOFF_MAX_SECONDS = 30.0
REFLECTOR_BACKOFF_JITTER = 1.0
REFLECTOR_BACKOFF_RESET_SECONDS = 120.0
"""Quiet time after which the pause starts small again."""

SHORT_WATCH_SECONDS = 1.0
"""A watch that ends sooner without an event is treated as a failure, or it would be opened in a hot loop."""

# Work queue
ITEM_BACKOFF_BASE_SECONDS = 0.005
ITEM_BACKOFF_MAX_SECONDS = 1000.0

# Event recorder
EVENT_QUEUE_CAPACITY = 1000
"""Events that wait to be written; further ones are dropped and counted."""

EVENT_CACHE_ENTRIES = 4096
EVENT_SPAM_BURST = 25
EVENT_SPAM_REFILL_SECONDS = 300.0
"""One event more per object each such period, once the burst is used up."""

EVENT_SIMILAR_LIMIT = 10
EVENT_SIMILAR_SECONDS = 600.0
FEW_KEYS = 4
"""Keys that are ready in a work queue up to which a worker waits for an idle moment."""

EVENT_PATIENCE_SECONDS = 1.0
"""How long an event may wait for an idle moment before it is written all the same."""

EVENT_QUIET_SECONDS = 0.001
"""How long nothing else must have happened for the moment to be idle."""

EVENT_ATTEMPTS = 12
EVENT_RETRY_SECONDS = 10.0

# Leader election
LEASE_DURATION_SECONDS = 15.0
LEASE_RENEW_DEADLINE_SECONDS = 10.0
LEASE_RETRY_SECONDS = 2.0
LEASE_JITTER = 1.2
LEASE_RELEASE_SECONDS = 5.0
"""Time for giving the lease back on the way out, when everything else is cancelled already."""

SHARED_OBJECTS = 256
"""Objects decoded last that informers of one process share; enough for the batches in which watchers take turns."""

SHARED_OBJECT_BYTES = 16 * 1024
"""Larger objects are not kept for others."""
