"""Which strategy serves which resource. One small file per kind or group that differs from the rest."""

from __future__ import annotations

from kube_actors.api.resources import Resource
from kube_actors.apiserver.custom.definition import DefinitionStrategy
from kube_actors.apiserver.strategies import (
    certificates,
    cluster,
    configuration,
    devices,
    flow,
    jobs,
    networking,
    policies,
    services,
    storage,
    workloads,
)
from kube_actors.apiserver.strategies.base import Strategy
from kube_actors.apiserver.strategies.namespaces import NamespaceStrategy
from kube_actors.apiserver.strategies.pods import PodStrategy

_ADMISSION = "admissionregistration.k8s.io"
_FLOW = "flowcontrol.apiserver.k8s.io"
_NETWORK = "networking.k8s.io"
_RBAC = "rbac.authorization.k8s.io"
_STORAGE = "storage.k8s.io"

_BY_RESOURCE: dict[tuple[str, str], Strategy] = {
    ("", "namespaces"): NamespaceStrategy(),
    ("", "pods"): PodStrategy(),
    ("", "podtemplates"): workloads.PodTemplateStrategy(),
    ("", "replicationcontrollers"): workloads.ReplicationControllerStrategy(),
    ("", "services"): services.ServiceStrategy(),
    ("", "endpoints"): services.EndpointsStrategy(),
    ("", "events"): configuration.EventStrategy(),
    ("", "configmaps"): configuration.ConfigMapStrategy(),
    ("events.k8s.io", "events"): configuration.EventV1Strategy(),
    ("", "secrets"): configuration.SecretStrategy(),
    ("", "serviceaccounts"): configuration.ServiceAccountStrategy(),
    ("", "limitranges"): configuration.LimitRangeStrategy(),
    ("", "resourcequotas"): configuration.ResourceQuotaStrategy(),
    ("", "nodes"): cluster.NodeStrategy(),
    ("", "persistentvolumes"): storage.PersistentVolumeStrategy(),
    ("", "persistentvolumeclaims"): storage.PersistentVolumeClaimStrategy(),
    ("apps", "controllerrevisions"): workloads.ControllerRevisionStrategy(),
    ("apps", "deployments"): workloads.DeploymentStrategy(),
    ("apps", "replicasets"): workloads.ReplicaSetStrategy(),
    ("apps", "statefulsets"): workloads.StatefulSetStrategy(),
    ("apps", "daemonsets"): workloads.DaemonSetStrategy(),
    ("autoscaling", "horizontalpodautoscalers"): cluster.HorizontalPodAutoscalerStrategy(),
    ("batch", "jobs"): jobs.JobStrategy(),
    ("batch", "cronjobs"): jobs.CronJobStrategy(),
    ("certificates.k8s.io", "certificatesigningrequests"): certificates.CertificateSigningRequestStrategy(),
    ("coordination.k8s.io", "leases"): configuration.LeaseStrategy(),
    ("discovery.k8s.io", "endpointslices"): services.EndpointSliceStrategy(),
    ("policy", "poddisruptionbudgets"): cluster.PodDisruptionBudgetStrategy(),
    ("node.k8s.io", "runtimeclasses"): cluster.RuntimeClassStrategy(),
    ("scheduling.k8s.io", "priorityclasses"): cluster.PriorityClassStrategy(),
    ("apiextensions.k8s.io", "customresourcedefinitions"): DefinitionStrategy(),
    ("apiregistration.k8s.io", "apiservices"): policies.APIServiceStrategy(),
    ("resource.k8s.io", "resourceclaims"): devices.ResourceClaimStrategy(),
    ("resource.k8s.io", "resourceclaimtemplates"): devices.ResourceClaimTemplateStrategy(),
    ("resource.k8s.io", "resourceslices"): devices.ResourceSliceStrategy(),
    ("resource.k8s.io", "deviceclasses"): devices.DeviceClassStrategy(),
    (_NETWORK, "ingresses"): networking.IngressStrategy(),
    (_NETWORK, "networkpolicies"): networking.NetworkPolicyStrategy(),
    (_NETWORK, "ingressclasses"): networking.IngressClassStrategy(),
    (_NETWORK, "ipaddresses"): networking.IPAddressStrategy(),
    (_NETWORK, "servicecidrs"): networking.ServiceCIDRStrategy(),
    (_FLOW, "flowschemas"): flow.FlowSchemaStrategy(),
    (_FLOW, "prioritylevelconfigurations"): flow.PriorityLevelStrategy(),
    (_STORAGE, "storageclasses"): storage.StorageClassStrategy(),
    (_STORAGE, "csidrivers"): storage.CSIDriverStrategy(),
    (_STORAGE, "csinodes"): storage.CSINodeStrategy(),
    (_STORAGE, "csistoragecapacities"): storage.CSIStorageCapacityStrategy(),
    (_STORAGE, "volumeattachments"): storage.VolumeAttachmentStrategy(),
    (_STORAGE, "volumeattributesclasses"): storage.VolumeAttributesClassStrategy(),
    (_ADMISSION, "validatingwebhookconfigurations"): policies.WebhookStrategy(mutating=False),
    (_ADMISSION, "mutatingwebhookconfigurations"): policies.WebhookStrategy(mutating=True),
    (_ADMISSION, "validatingadmissionpolicies"): policies.AdmissionPolicyStrategy(),
    (_ADMISSION, "mutatingadmissionpolicies"): policies.AdmissionPolicyStrategy(),
    (_ADMISSION, "validatingadmissionpolicybindings"): policies.AdmissionBindingStrategy(),
    (_ADMISSION, "mutatingadmissionpolicybindings"): policies.AdmissionBindingStrategy(),
    (_RBAC, "roles"): configuration.RoleStrategy(),
    (_RBAC, "rolebindings"): configuration.RoleBindingStrategy(),
    (_RBAC, "clusterroles"): configuration.RoleStrategy(),
    (_RBAC, "clusterrolebindings"): configuration.RoleBindingStrategy(),
}
_PLAIN = Strategy()


def strategy_for(resource: Resource) -> Strategy:
    """The strategy of a resource; most need none of their own."""
    return _BY_RESOURCE.get((resource.group, resource.plural), _PLAIN)
