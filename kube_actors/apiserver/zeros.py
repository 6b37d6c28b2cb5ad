"""Which optional fields keep their zero values on the wire: what Kubernetes' Go types say and its schema does not.

A field that is a pointer in Go is written even when it holds 0, false or ""; a plain one is left out; a plain struct
is always written, be it empty. The names are (definition's short name, JSON name). Data only.
"""

from __future__ import annotations

EMPTY_STRUCTS = frozenset(
    {
        ("Container", "resources"),
        ("EphemeralContainer", "resources"),
        ("PersistentVolumeClaimSpec", "resources"),
        ("PodTemplateSpec", "metadata"),
        ("PodTemplateSpec", "spec"),
        ("PodTemplate", "template"),
        ("ReplicaSetSpec", "template"),
        ("JobTemplateSpec", "metadata"),
        ("JobTemplateSpec", "spec"),
        ("PersistentVolumeClaimTemplate", "metadata"),
        ("ResourceClaimTemplateSpec", "metadata"),
        ("DeploymentSpec", "strategy"),
        ("StatefulSetSpec", "updateStrategy"),
        ("DaemonSetSpec", "updateStrategy"),
        ("ServiceStatus", "loadBalancer"),
        ("IngressStatus", "loadBalancer"),
        ("NodeStatus", "daemonEndpoints"),
        ("NodeStatus", "nodeInfo"),
        ("NodeDaemonEndpoints", "kubeletEndpoint"),
        ("ContainerStatus", "state"),
        ("ContainerStatus", "lastState"),
        ("Event", "source"),
        ("Event", "deprecatedSource"),
        ("Event", "regarding"),
        ("Event", "involvedObject"),
        ("Endpoint", "conditions"),
        ("CSINode", "spec"),
        ("FlowSchema", "spec"),
        ("FlowSchema", "status"),
        ("PriorityLevelConfiguration", "spec"),
        ("PriorityLevelConfiguration", "status"),
        ("APIService", "spec"),
        ("APIService", "status"),
        ("CertificateSigningRequest", "spec"),
        ("CertificateSigningRequest", "status"),
        ("TokenReview", "status"),
        ("SelfSubjectReview", "status"),
        ("UserInfo", ""),
        ("TokenReviewStatus", "user"),
        ("LocalSubjectAccessReview", "status"),
        ("SubjectAccessReview", "status"),
        ("SelfSubjectAccessReview", "status"),
        ("ValidatingAdmissionPolicy", "spec"),
        ("ValidatingAdmissionPolicy", "status"),
        ("ValidatingAdmissionPolicyBinding", "spec"),
        ("MutatingAdmissionPolicy", "spec"),
        ("MutatingAdmissionPolicyBinding", "spec"),
        ("Lease", "spec"),
        ("IngressServiceBackend", "port"),
        ("IPAddress", "spec"),
        ("ServiceCIDR", "spec"),
        ("ServiceCIDR", "status"),
        ("IngressClass", "spec"),
        ("NetworkPolicySpec", "podSelector"),
        ("ResourceClaim", "status"),
        ("StatefulSetStatus", ""),
        ("HorizontalPodAutoscaler", "spec"),
        ("HorizontalPodAutoscaler", "status"),
        ("VolumeAttachment", "status"),
    }
    | {
        (kind, part)
        for kind in [
            "Namespace",
            "Node",
            "Pod",
            "Service",
            "ReplicationController",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "ResourceQuota",
            "Deployment",
            "ReplicaSet",
            "StatefulSet",
            "DaemonSet",
            "Job",
            "CronJob",
            "PodDisruptionBudget",
            "Ingress",
            "Scale",
        ]
        for part in ("spec", "status")
    }
    | {(kind, "spec") for kind in ("NetworkPolicy", "LimitRange")}
)
"""Optional structs that are plain in Go: always written."""

ZEROS_KEPT = frozenset(
    {
        ("HorizontalPodAutoscalerStatus", "currentMetrics"),
        ("EndpointSlice", "endpoints"),
        ("EndpointSlice", "ports"),
        ("Role", "rules"),
        ("ClusterRole", "rules"),
        ("StatefulSetStatus", "availableReplicas"),
        ("ContainerStateTerminated", "startedAt"),
        ("ContainerStateTerminated", "finishedAt"),
        ("ContainerStateRunning", "startedAt"),
        ("EventSeries", "lastObservedTime"),
    }
    | {
        ("Event", name)
        for name in (
            "firstTimestamp",
            "lastTimestamp",
            "eventTime",
            "reportingComponent",
            "reportingInstance",
            "deprecatedFirstTimestamp",
            "deprecatedLastTimestamp",
        )
    }
)
"""Optional fields that Go writes although they are unset."""

POINTER_STRUCTS = frozenset(
    {(kind, "selector") for kind in ("DeploymentSpec", "ReplicaSetSpec", "StatefulSetSpec", "DaemonSetSpec")}
)
"""Required structs that are pointers in Go: nothing stands in for a missing one."""

PLAIN_NUMBERS = frozenset(
    {
        ("ContainerPort", "hostPort"),
        ("ServicePort", "nodePort"),
        ("ServiceSpec", "healthCheckNodePort"),
        ("PodCondition", "observedGeneration"),
        ("PodStatus", "observedGeneration"),
        ("Condition", "observedGeneration"),
        ("ObjectMeta", "generation"),
        ("Event", "count"),
        ("Event", "deprecatedCount"),
        ("EventSeries", "count"),
        ("HorizontalPodAutoscalerStatus", "currentReplicas"),
        ("ContainerStateTerminated", "signal"),
        ("ServiceBackendPort", "number"),
        ("ScaleSpec", "replicas"),
        ("Status", "code"),
        ("StatusDetails", "retryAfterSeconds"),
        ("CustomResourceColumnDefinition", "priority"),
        ("AWSElasticBlockStoreVolumeSource", "partition"),
        ("GCEPersistentDiskVolumeSource", "partition"),
        ("JobStatus", "active"),
        ("JobStatus", "succeeded"),
        ("JobStatus", "failed"),
        ("PodDisruptionBudgetStatus", "observedGeneration"),
        ("DaemonSetStatus", "observedGeneration"),
        ("DaemonSetStatus", "updatedNumberScheduled"),
        ("DaemonSetStatus", "numberAvailable"),
        ("DaemonSetStatus", "numberUnavailable"),
        ("FlowSchemaSpec", "matchingPrecedence"),
        ("APIServiceSpec", "groupPriorityMinimum"),
        ("APIServiceSpec", "versionPriority"),
    }
    | {
        (kind, "minReadySeconds")
        for kind in (
            "DeploymentSpec",
            "ReplicaSetSpec",
            "StatefulSetSpec",
            "DaemonSetSpec",
            "ReplicationControllerSpec",
        )
    }
    | {
        ("Probe", name)
        for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
    }
    | {
        (kind, name)
        for kind in ("DeploymentStatus", "ReplicaSetStatus", "StatefulSetStatus", "ReplicationControllerStatus")
        for name in (
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "fullyLabeledReplicas",
            "currentReplicas",
        )
    }
)
"""Optional numbers that are plain in Go: 0 is left out."""

PLAIN_BOOLS = frozenset(
    {
        ("PodSpec", "hostNetwork"),
        ("PodSpec", "hostPID"),
        ("PodSpec", "hostIPC"),
        ("VolumeMount", "readOnly"),
        ("ServiceSpec", "publishNotReadyAddresses"),
        ("DeploymentSpec", "paused"),
        ("NodeSpec", "unschedulable"),
        ("PriorityClass", "globalDefault"),
        ("CustomResourceDefinitionVersion", "deprecated"),
        ("CustomResourceDefinitionSpec", "preserveUnknownFields"),
        ("SubjectAccessReviewStatus", "denied"),
        ("TokenReviewStatus", "authenticated"),
        ("APIServiceSpec", "insecureSkipTLSVerify"),
        ("ISCSIVolumeSource", "chapAuthDiscovery"),
        ("ISCSIVolumeSource", "chapAuthSession"),
        ("ScaleIOVolumeSource", "sslEnabled"),
        ("ScaleIOPersistentVolumeSource", "sslEnabled"),
    }
    | {(kind, name) for kind in ("Container", "EphemeralContainer") for name in ("stdin", "stdinOnce", "tty")}
    | {
        (kind, "readOnly")
        for kind in [
            "PersistentVolumeClaimVolumeSource",
            "NFSVolumeSource",
            "GCEPersistentDiskVolumeSource",
            "AWSElasticBlockStoreVolumeSource",
            "ISCSIVolumeSource",
            "ISCSIPersistentVolumeSource",
            "GlusterfsVolumeSource",
            "GlusterfsPersistentVolumeSource",
            "RBDVolumeSource",
            "RBDPersistentVolumeSource",
            "CephFSVolumeSource",
            "CephFSPersistentVolumeSource",
            "CinderVolumeSource",
            "CinderPersistentVolumeSource",
            "FCVolumeSource",
            "AzureFileVolumeSource",
            "AzureFilePersistentVolumeSource",
            "PortworxVolumeSource",
            "ScaleIOVolumeSource",
            "ScaleIOPersistentVolumeSource",
            "StorageOSVolumeSource",
            "QuobyteVolumeSource",
            "FlexVolumeSource",
            "FlexPersistentVolumeSource",
            "CSIPersistentVolumeSource",
        ]
    }
    | {
        ("JSONSchemaProps", name)
        for name in (
            "exclusiveMaximum",
            "exclusiveMinimum",
            "uniqueItems",
            "nullable",
            "x-kubernetes-embedded-resource",
        )
    }
)
"""Optional booleans that are plain in Go: false is left out."""

POINTER_STRINGS = frozenset(
    {
        ("PersistentVolumeClaimSpec", "storageClassName"),
        ("PersistentVolumeClaimSpec", "volumeAttributesClassName"),
        ("PersistentVolumeSpec", "volumeAttributesClassName"),
        ("IngressSpec", "ingressClassName"),
        ("ServicePort", "appProtocol"),
        ("EndpointPort", "appProtocol"),
        ("ServiceSpec", "loadBalancerClass"),
        ("Endpoint", "hostname"),
        ("Endpoint", "nodeName"),
        ("Endpoint", "zone"),
        ("EndpointAddress", "nodeName"),
        ("PodSpec", "runtimeClassName"),
        ("PodSpec", "hostnameOverride"),
        ("LeaseSpec", "holderIdentity"),
        ("LeaseSpec", "preferredHolder"),
        ("TypedLocalObjectReference", "apiGroup"),
        ("TypedObjectReference", "apiGroup"),
        ("SeccompProfile", "localhostProfile"),
        ("AppArmorProfile", "localhostProfile"),
        ("VolumeAttachmentSource", "persistentVolumeName"),
        ("CronJobSpec", "timeZone"),
        ("GRPCAction", "service"),
        ("ServiceReference", "path"),
        ("WebhookClientConfig", "url"),
        ("JSONSchemaProps", "$ref"),
    }
)
"""Optional strings that are pointers in Go: "" is kept."""

POINTER_STRINGS_BY_GROUP = frozenset({("io.k8s.api.discovery.v1.EndpointPort", "name")})
"""The same where two definitions share a short name."""
