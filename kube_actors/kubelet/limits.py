"""Named limits and periods of a node. Seconds unless the name says otherwise."""

# Containers
CRASH_BACKOFF_INITIAL = 10.0
CRASH_BACKOFF_MAX = 300.0
CRASH_BACKOFF_RESET = 600.0
"""A container that ran this long starts again with the first pause."""

IMAGE_BACKOFF_INITIAL = 10.0
IMAGE_BACKOFF_MAX = 300.0
IMAGE_ERROR_SHOWN = 1.0
"""How long ErrImagePull stands in the status before it becomes ImagePullBackOff."""

CONFIG_RETRY = 10.0
"""Pause before a container whose ConfigMap or Secret is missing is tried again."""

START_RETRY_MIN = 1.0
"""Shortest pause after a process could not be started, so that it is never tried in a hot loop."""

PREPARE_BACKOFF_INITIAL = 0.5
PREPARE_BACKOFF_MAX = 122.0
"""Volumes that cannot be mounted are tried again after pauses that double between these."""

SANDBOX_BACKOFF = 10.0

DEFAULT_GRACE = 30
MINIMUM_GRACE = 2.0
"""What TERM is given at least when a preStop hook has used up the grace period."""

TERMINATION_MESSAGE_BYTES = 4096
LOG_FALLBACK_BYTES = 2048
LOG_FALLBACK_LINES = 80

# Shell
POD_INBOX = 10_000
"""Messages that wait for one pod's actor."""

STATUS_DELAY = 0.2
"""While work is under way, a changed status waits this long for more changes."""

RETRY_INITIAL = 0.25
RETRY_MAX = 10.0
"""Pauses of an operation that found the engine or the API away."""

# Node
STATUS_CHECK = 10.0
STATUS_REPORT = 300.0
LEASE_DURATION = 40
LEASE_RENEW = 10.0
LEASE_JITTER = 0.04
LEASE_NAMESPACE = "kube-node-lease"
MAX_PODS = 110

SOURCE_TTL = 10.0
"""How old a ConfigMap or Secret may be when volumes are refreshed."""

ROOT_CA_TTL = 10.0
"""How old the root certificates may be when a pod starts."""

VOLUME_REFRESH = 10.0
"""How often a pod's mounted ConfigMaps, Secrets and downward files are brought up to date."""

SCRIPTED_WORKERS = 8
"""Pods of scripted nodes that are written at the same time."""

# Probes and hooks
PROBE_BODY_BYTES = 10 * 1024
PROBE_MESSAGE_BYTES = 1024
HOOK_TIMEOUT = 30.0

# Streams
LOG_CHUNK_BYTES = 32 * 1024
MAX_EXEC_SECONDS = 4 * 3600.0
