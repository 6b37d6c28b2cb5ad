"""Named limits and periods of the controllers. Seconds unless the name says otherwise."""

CACHE_PATIENCE_SECONDS = 300.0
"""How long a key waits for the cache to show what was written for it, before it is looked at all the same."""

CACHE_POLL_SECONDS = 1.0
"""How often a key that waits for the cache is looked at, when no event brings it back before."""

PATIENCE_SECONDS = 0.03
"""How long a key waits for an idle moment at most, so that many changes in a row cost one look and one write."""

LONG_LOOK_SECONDS = 0.01
REST_FACTOR = 3.0
REST_MAX_SECONDS = 1.0
"""A key that took longer than LONG_LOOK to look at rests this many times as long before the next look."""

BURST_REPLICAS = 500
"""Pods that one look at a ReplicaSet creates or deletes at most."""

BURST_DAEMONS = 250
"""Pods that one look at a DaemonSet creates at most, and deletes at most."""

FAILED_DAEMON_SECONDS = 1.0
FAILED_DAEMON_MAX_SECONDS = 15 * 60.0
"""How long a daemon's failed pod stands before it is replaced: doubled with every failure on that node."""

SLOW_START_INITIAL = 1
"""Size of the first group of creations; it doubles as long as they succeed."""

RETRY_INITIAL_SECONDS = 0.005
RETRY_MAX_SECONDS = 1000.0

MAX_ENDPOINTS_PER_SLICE = 100
MAX_ENDPOINTS_PER_OBJECT = 1000
"""Addresses of one Endpoints object; beyond, it is marked as truncated."""

REVISION_HISTORY_CHARACTERS = 2000
NAMESPACE_RETRY_SECONDS = 1.0

NODE_MONITOR_PERIOD_SECONDS = 5.0
NODE_MONITOR_GRACE_SECONDS = 50.0
NODE_STARTUP_GRACE_SECONDS = 60.0
NODE_EVICTION_RATE = 0.1
"""Nodes a second that may get the taint that evicts, in a healthy zone."""
NODE_SECONDARY_EVICTION_RATE = 0.01
UNHEALTHY_ZONE_FRACTION = 0.55
LARGE_ZONE_NODES = 50

POD_GC_PERIOD_SECONDS = 20.0
POD_GC_QUARANTINE_SECONDS = 40.0
TERMINATED_POD_THRESHOLD = 12500
EVICTION_ATTEMPTS = 5

GC_DISCOVERY_SECONDS = 300.0
"""How often the garbage collector looks for new kinds, besides whenever a custom kind is defined."""
GC_START_SECONDS = 0.5
"""How long the garbage collector lets everybody else start first: it watches every kind, and nothing waits for it."""
LATE_START_SECONDS = 0.3
"""How long controllers wait whose kinds a young cluster has no objects of."""
LATE_QUIET_SECONDS = 0.001
LATE_PATIENCE_SECONDS = 2.0
"""Late ones start in a moment in which nothing has happened for this long; without one, after this longer time."""
GC_SYNC_SECONDS = 10.0
"""How long the garbage collector waits for the first list of a kind before it starts without it."""

EVICTION_PATIENCE_SECONDS = 120.0
"""How long a pod that was allowed to be evicted may take to begin to go, before it counts as healthy again."""
BUDGET_RETRY_SECONDS = 30.0
"""When a PodDisruptionBudget is looked at again whose expected pods could not be counted."""

SERVICE_CIDR_GRACE_SECONDS = 10.0
"""How long a ServiceCIDR that nobody uses outlives its deletion, for every API server to see it."""
SERVICE_CIDR_RETRY_SECONDS = 10.0

QUOTA_RESYNC_SECONDS = 300.0
"""How often a quota is counted anew though nothing seems to have changed."""
QUOTA_NAME_SETS = 1024
"""Different sets of names in quotas that are remembered as watched for; more only cost a look-up each time."""

REQUEST_PENDING_SECONDS = 24 * 3600.0
"""A certificate request that nobody decides, or nobody signs, is removed after this time."""

REQUEST_DECIDED_SECONDS = 3600.0
"""A certificate request is removed this long after the last decision on it."""

HPA_SYNC_SECONDS = 15.0
"""How often an autoscaler is looked at; nothing makes it sooner."""
HPA_TOLERANCE = 0.1
HPA_CPU_INITIALIZATION_SECONDS = 300.0
"""How long after its start a pod's CPU counts only while it is ready and was for a whole window."""
HPA_INITIAL_READINESS_SECONDS = 30.0
HPA_DOWNSCALE_STABILIZATION_SECONDS = 300.0
METRICS_WINDOW_SECONDS = 60.0
"""Over how long a custom metric was measured when nobody says."""

JOB_BATCH_SECONDS = 1.0
"""How long a Job waits for more news of its pods before it is looked at, so that many changes cost few writes."""
JOB_BACKOFF_SECONDS = 10.0
JOB_BACKOFF_MAX_SECONDS = 600.0
"""Pause before a failed pod of a Job is replaced: doubled with each failure in a row, up to the most."""
JOB_UNCOUNTED_PODS = 500
"""Finished pods that one look at a Job counts at most."""
RETRY_SECONDS = {"job-controller": (1.0, 60.0), "cronjob-controller": (1.0, 60.0)}
"""Controllers whose first and longest pause after a failure are other ones than RETRY_*."""

BINDER_PERIOD_SECONDS = 15.0
"""How often the binder looks at every claim and every volume, besides when they change."""

ATTACH_SECONDS = 120.0
"""How long a driver may take to attach a volume before its pods are told that it takes long."""
DETACH_WAIT_SECONDS = 60.0
"""How often a node is looked at that still uses a volume which none of its pods needs."""

EPHEMERAL_RETRY_SECONDS = 15.0
"""When a pod is looked at again whose claim's name somebody else has taken."""

CLUSTER_CIDR = "10.244.0.0/16"
NODE_CIDR_MASK = 24
"""What nodes get their ranges of, where somebody asked for that."""

NODE_RANGE_RETRY_SECONDS = 30.0
"""When a node is looked at again that no range was left for."""

LEGACY_TOKEN_SECONDS = 365 * 24 * 3600.0
"""A token Secret that a controller made and nobody used for this long is marked, and after as long again deleted."""

LEGACY_TOKEN_LOOK_SECONDS = 24 * 3600.0

LARGE_SERVICE_PODS = 200
"""From so many pods on, what was worked out for each is kept, and changes of pods wait for each other."""
BATCH_SECONDS_PER_POD = 0.0001
MAX_BATCH_SECONDS = 1.0
