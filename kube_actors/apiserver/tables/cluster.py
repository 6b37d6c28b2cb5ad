"""The cluster itself: nodes, namespaces, events, quotas, leases, classes of priority and devices."""

from __future__ import annotations

from kube_actors.apiserver.tables.printer import (
    NONE,
    UNKNOWN,
    Cells,
    Column,
    JSONObject,
    Printer,
    age_column,
    age_of,
    at,
    items,
    name_column,
    name_of,
    part,
    since,
    wide,
)

_ROLE = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _node(obj: JSONObject, now: float) -> Cells:
    info = part(obj, "status", "nodeInfo")
    addresses = items(obj, "status", "addresses")
    kernel, machine = info.get("kernelVersion") or UNKNOWN, info.get("architecture")
    if machine and kernel != UNKNOWN:
        kernel = f"{kernel} ({machine})"
    return [
        name_of(obj),
        _node_status(obj),
        ",".join(_roles(obj)) or NONE,
        age_of(obj, now),
        info.get("kubeletVersion", ""),
        next((a.get("address") for a in addresses if a.get("type") == "InternalIP"), NONE),
        next((a.get("address") for a in addresses if a.get("type") == "ExternalIP"), NONE),
        info.get("osImage") or UNKNOWN,
        kernel,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _node_status(obj: JSONObject) -> str:
    words = [
        "Ready" if condition.get("status") == "True" else "NotReady"
        for condition in items(obj, "status", "conditions")
        if condition.get("type") == "Ready"
    ]
    words = words or ["Unknown"]
    if at(obj, "spec", "unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(obj: JSONObject) -> list[str]:
    labels = part(obj, "metadata", "labels")
    found = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE) and key != _ROLE}
    if labels.get(_ROLE_LABEL):
        found.add(labels[_ROLE_LABEL])
    return sorted(found)


def _namespace(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), part(obj, "status").get("phase", ""), age_of(obj, now)]


def _event(obj: JSONObject, now: float) -> Cells:
    """Both groups' events: what one calls involvedObject and message, the other calls regarding and note."""
    first = since(obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime"), now)
    latest = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    last = since(latest, now) if latest else first
    count = obj.get("count") or obj.get("deprecatedCount") or 1
    series = obj.get("series")
    if series:
        last, count = since(series.get("lastObservedTime"), now), series.get("count", 0)
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    target = str(about.get("kind", "")).lower()
    if about.get("name"):
        target = f"{target}/{about['name']}"
    message = str(obj.get("message") or obj.get("note") or "").strip()
    return [
        last,
        obj.get("type", ""),
        obj.get("reason", ""),
        target,
        about.get("fieldPath", ""),
        _event_source(obj),
        message,
        first,
        count,
        name_of(obj),
    ]


def _event_source(obj: JSONObject) -> str:
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    return f"{component}, {host}" if host else str(component)


def _quota(obj: JSONObject, now: float) -> Cells:
    hard, used = part(obj, "status", "hard"), part(obj, "status", "used")
    words: dict[bool, list[str]] = {True: [], False: []}
    for resource in sorted(hard):
        words["limits" in resource].append(f"{resource}: {used.get(resource, '0')}/{hard[resource]}")
    return [name_of(obj), ", ".join(words[False]), ", ".join(words[True]), age_of(obj, now)]


def _lease(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), part(obj, "spec").get("holderIdentity") or "", age_of(obj, now)]


def _priority_class(obj: JSONObject, now: float) -> Cells:
    preemption = obj.get("preemptionPolicy") or "PreemptLowerPriority"
    return [name_of(obj), obj.get("value", 0), bool(obj.get("globalDefault")), age_of(obj, now), preemption]


def _runtime_class(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), obj.get("handler", ""), age_of(obj, now)]


def _budget(obj: JSONObject, now: float) -> Cells:
    spec = part(obj, "spec")
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    return [
        name_of(obj),
        "N/A" if least is None else str(least),
        "N/A" if most is None else str(most),
        part(obj, "status").get("disruptionsAllowed", 0),
        age_of(obj, now),
    ]


def _component(obj: JSONObject, now: float) -> Cells:
    found: JSONObject = next((c for c in obj.get("conditions") or [] if c.get("type") == "Healthy"), {})
    word = {"True": "Healthy", "False": "Unhealthy"}.get(found.get("status", ""), "Unknown")
    return [name_of(obj), word, found.get("message", ""), found.get("error", "")]


def _flow_schema(obj: JSONObject, now: float) -> Cells:
    spec = part(obj, "spec")
    dangling: JSONObject = next((c for c in items(obj, "status", "conditions") if c.get("type") == "Dangling"), {})
    return [
        name_of(obj),
        at(spec, "priorityLevelConfiguration", "name") or "",
        spec.get("matchingPrecedence", 0),
        at(spec, "distinguisherMethod", "type") or NONE,
        age_of(obj, now),
        dangling.get("status") or "?",
    ]


def _priority_level(obj: JSONObject, now: float) -> Cells:
    spec = part(obj, "spec")
    limited = spec.get("limited") or spec.get("exempt") or {}
    queuing = at(limited, "limitResponse", "queuing") or {}
    shares = limited.get("nominalConcurrencyShares")
    return [
        name_of(obj),
        spec.get("type", ""),
        NONE if shares is None else shares,
        queuing.get("queues", NONE),
        queuing.get("handSize", NONE),
        queuing.get("queueLengthLimit", NONE),
        age_of(obj, now),
    ]


def _plain(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), age_of(obj, now)]


def _claim(obj: JSONObject, now: float) -> Cells:
    status = part(obj, "status")
    words = ["deleted"] if at(obj, "metadata", "deletionTimestamp") else []
    if status.get("allocation") is None:
        words = words or ["pending"]
    else:
        words.append("allocated")
    words += ["reserved"] if status.get("reservedFor") else []
    return [name_of(obj), ",".join(words), age_of(obj, now)]


def _slice(obj: JSONObject, now: float) -> Cells:
    spec = part(obj, "spec")
    node = spec.get("nodeName") or ("<all>" if spec.get("allNodes") else NONE)
    return [name_of(obj), node, spec.get("driver", ""), at(spec, "pool", "name") or "", age_of(obj, now)]


_EVENT = Printer(
    (
        Column("Last Seen", "=core.v1.Event.lastTimestamp"),
        Column("Type", "=core.v1.Event.type"),
        Column("Reason", "=core.v1.Event.reason"),
        Column("Object", "=core.v1.Event.involvedObject"),
        wide("Subobject", "=core.v1.ObjectReference.fieldPath"),
        wide("Source", "=core.v1.Event.source"),
        Column("Message", "=core.v1.Event.message"),
        wide("First Seen", "=core.v1.Event.firstTimestamp"),
        wide("Count", "=core.v1.Event.count"),
        Column("Name", "=meta.v1.ObjectMeta.name", format="name", priority=1),
    ),
    _event,
)

PRINTERS = {
    ("", "Node"): Printer(
        (
            name_column(),
            Column("Status", "The status of the node"),
            Column("Roles", "The roles of the node"),
            age_column(),
            Column("Version", "=core.v1.NodeSystemInfo.kubeletVersion"),
            wide("Internal-IP", "=core.v1.NodeStatus.addresses"),
            wide("External-IP", "=core.v1.NodeStatus.addresses"),
            wide("OS-Image", "=core.v1.NodeSystemInfo.osImage"),
            wide("Kernel-Version", "=core.v1.NodeSystemInfo.kernelVersion"),
            wide("Container-Runtime", "=core.v1.NodeSystemInfo.containerRuntimeVersion"),
        ),
        _node,
    ),
    ("", "Namespace"): Printer(
        (name_column(), Column("Status", "The status of the namespace"), age_column()), _namespace
    ),
    ("", "Event"): _EVENT,
    ("events.k8s.io", "Event"): _EVENT,
    ("", "ResourceQuota"): Printer(
        (
            name_column(),
            Column("Request", "Request represents a minimum amount of cpu/memory that a container may consume."),
            Column(
                "Limit",
                "Limits control the maximum amount of cpu/memory that a container may use independent of contention "
                "on the node.",
            ),
            age_column(),
        ),
        _quota,
    ),
    ("coordination.k8s.io", "Lease"): Printer(
        (name_column(), Column("Holder", "=coordination.v1.LeaseSpec.holderIdentity"), age_column()), _lease
    ),
    ("scheduling.k8s.io", "PriorityClass"): Printer(
        (
            name_column(),
            Column("Value", "=scheduling.v1.PriorityClass.value"),
            Column("Global-Default", "=scheduling.v1.PriorityClass.globalDefault", "boolean"),
            age_column(),
            Column("PreemptionPolicy", "=scheduling.v1.PriorityClass.preemptionPolicy"),
        ),
        _priority_class,
    ),
    ("node.k8s.io", "RuntimeClass"): Printer((name_column(), Column("Handler"), age_column()), _runtime_class),
    ("policy", "PodDisruptionBudget"): Printer(
        (
            name_column(),
            Column("Min Available", "The minimum number of pods that must be available."),
            Column("Max Unavailable", "The maximum number of pods that may be unavailable."),
            Column("Allowed Disruptions", "Calculated number of pods that may be disrupted at this time.", "integer"),
            age_column(),
        ),
        _budget,
    ),
    ("", "ComponentStatus"): Printer(
        (
            name_column(),
            Column("Status", "Status of the component conditions"),
            Column("Message", "Message of the component conditions"),
            Column("Error", "Error of the component conditions"),
        ),
        _component,
    ),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): Printer(
        (
            name_column(),
            Column("PriorityLevel", "=flowcontrol.v1.PriorityLevelConfigurationReference.name"),
            Column("MatchingPrecedence", "=flowcontrol.v1.FlowSchemaSpec.matchingPrecedence"),
            Column("DistinguisherMethod", "=flowcontrol.v1.FlowSchemaSpec.distinguisherMethod"),
            age_column(),
            Column("MissingPL", "references a broken or non-existent PriorityLevelConfiguration"),
        ),
        _flow_schema,
    ),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): Printer(
        (
            name_column(),
            Column("Type", "=flowcontrol.v1.PriorityLevelConfigurationSpec.type"),
            Column(
                "NominalConcurrencyShares",
                "=flowcontrol.v1.LimitedPriorityLevelConfiguration.nominalConcurrencyShares",
            ),
            Column("Queues", "=flowcontrol.v1.QueuingConfiguration.queues"),
            Column("HandSize", "=flowcontrol.v1.QueuingConfiguration.handSize"),
            Column("QueueLengthLimit", "=flowcontrol.v1.QueuingConfiguration.queueLengthLimit"),
            age_column(),
        ),
        _priority_level,
    ),
    ("resource.k8s.io", "DeviceClass"): Printer((name_column(), age_column()), _plain),
    ("resource.k8s.io", "ResourceClaimTemplate"): Printer((name_column(), age_column()), _plain),
    ("resource.k8s.io", "ResourceClaim"): Printer(
        (
            name_column(),
            Column("State", "A summary of the current state (allocated, pending, reserved, etc.)."),
            age_column(),
        ),
        _claim,
    ),
    ("resource.k8s.io", "ResourceSlice"): Printer(
        (
            name_column(),
            Column("Node", "=resource.v1.ResourceSliceSpec.nodeName"),
            Column("Driver", "=resource.v1.ResourceSliceSpec.driver"),
            Column("Pool", "=resource.v1.ResourcePool.name"),
            age_column(),
        ),
        _slice,
    ),
}
