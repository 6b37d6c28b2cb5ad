"""The built-in resources that a Kubernetes 1.36 server serves by default, as one table.

Owns facts only: names, kinds, scopes, verbs, categories and sub-resources, in the order in which discovery lists
the groups. `resources` reads it. A line is

    plural Kind scope verbs shortNames categories [subresource[=kind][:verbs] ...]

scope is N (in a namespace) or C (of the cluster); verbs * are all eight, "-" is none; a sub-resource answers with
its parent's kind and get, patch and update unless the line says otherwise (`kind` may be group/version/Kind).
"""

TABLE = """\
# v1
bindings Binding N create - -
componentstatuses ComponentStatus C get,list cs -
configmaps ConfigMap N * cm -
endpoints Endpoints N * ep -
events Event N * ev -
limitranges LimitRange N * limits -
namespaces Namespace C create,delete,get,list,patch,update,watch ns - finalize:update status
nodes Node C * no - proxy=NodeProxyOptions:PROXY status
persistentvolumeclaims PersistentVolumeClaim N * pvc - status
persistentvolumes PersistentVolume C * pv - status
pods Pod N * po all attach=PodAttachOptions:create,get binding=Binding:create ephemeralcontainers \
eviction=policy/v1/Eviction:create exec=PodExecOptions:create,get log:get \
portforward=PodPortForwardOptions:create,get proxy=PodProxyOptions:PROXY resize status
podtemplates PodTemplate N * - -
replicationcontrollers ReplicationController N * rc all scale=autoscaling/v1/Scale status
resourcequotas ResourceQuota N * quota - status
secrets Secret N * - -
serviceaccounts ServiceAccount N * sa - token=authentication.k8s.io/v1/TokenRequest:create
services Service N * svc all proxy=ServiceProxyOptions:PROXY status
# apiregistration.k8s.io/v1
apiservices APIService C * - api-extensions status
# apps/v1
controllerrevisions ControllerRevision N * - -
daemonsets DaemonSet N * ds all status
deployments Deployment N * deploy all scale=autoscaling/v1/Scale status
replicasets ReplicaSet N * rs all scale=autoscaling/v1/Scale status
statefulsets StatefulSet N * sts all scale=autoscaling/v1/Scale status
# events.k8s.io/v1
events Event N * ev -
# authentication.k8s.io/v1
selfsubjectreviews SelfSubjectReview C create - -
tokenreviews TokenReview C create - -
# authorization.k8s.io/v1
localsubjectaccessreviews LocalSubjectAccessReview N create - -
selfsubjectaccessreviews SelfSubjectAccessReview C create - -
selfsubjectrulesreviews SelfSubjectRulesReview C create - -
subjectaccessreviews SubjectAccessReview C create - -
# autoscaling/v2
horizontalpodautoscalers HorizontalPodAutoscaler N * hpa all status
# autoscaling/v1
horizontalpodautoscalers HorizontalPodAutoscaler N * hpa all status
# batch/v1
cronjobs CronJob N * cj all status
jobs Job N * - all status
# certificates.k8s.io/v1
certificatesigningrequests CertificateSigningRequest C * csr - approval status
# networking.k8s.io/v1
ingressclasses IngressClass C * - -
ingresses Ingress N * ing - status
ipaddresses IPAddress C * ip -
networkpolicies NetworkPolicy N * netpol -
servicecidrs ServiceCIDR C * - - status
# policy/v1
poddisruptionbudgets PodDisruptionBudget N * pdb - status
# rbac.authorization.k8s.io/v1
clusterrolebindings ClusterRoleBinding C * - -
clusterroles ClusterRole C * - -
rolebindings RoleBinding N * - -
roles Role N * - -
# storage.k8s.io/v1
csidrivers CSIDriver C * - -
csinodes CSINode C * - -
csistoragecapacities CSIStorageCapacity N * - -
storageclasses StorageClass C * sc -
volumeattachments VolumeAttachment C * - - status
volumeattributesclasses VolumeAttributesClass C * vac -
# admissionregistration.k8s.io/v1
mutatingadmissionpolicies MutatingAdmissionPolicy C * - api-extensions
mutatingadmissionpolicybindings MutatingAdmissionPolicyBinding C * - api-extensions
mutatingwebhookconfigurations MutatingWebhookConfiguration C * - api-extensions
validatingadmissionpolicies ValidatingAdmissionPolicy C * - api-extensions status
validatingadmissionpolicybindings ValidatingAdmissionPolicyBinding C * - api-extensions
validatingwebhookconfigurations ValidatingWebhookConfiguration C * - api-extensions
# apiextensions.k8s.io/v1
customresourcedefinitions CustomResourceDefinition C * crd,crds api-extensions status
# scheduling.k8s.io/v1
priorityclasses PriorityClass C * pc -
# coordination.k8s.io/v1
leases Lease N * - -
# node.k8s.io/v1
runtimeclasses RuntimeClass C * - -
# discovery.k8s.io/v1
endpointslices EndpointSlice N * - -
# resource.k8s.io/v1
deviceclasses DeviceClass C * - -
resourceclaims ResourceClaim N * - - status
resourceclaimtemplates ResourceClaimTemplate N * - -
resourceslices ResourceSlice C * - -
# flowcontrol.apiserver.k8s.io/v1
flowschemas FlowSchema C * - - status
prioritylevelconfigurations PriorityLevelConfiguration C * - - status
"""

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
PROXY_VERBS = ("create", "delete", "get", "patch", "update")
SUBRESOURCE_VERBS = ("get", "patch", "update")

STORED = {
    ("autoscaling", "v1", "horizontalpodautoscalers"): ("autoscaling", "v2"),
    ("events.k8s.io", "v1", "events"): ("", "v1"),
}
"""Where the objects of a resource lie when that is not under its own group and version."""

HASHED_AS = {
    ("apiextensions.k8s.io", "customresourcedefinitions"): "v1beta1",
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): "v1beta1",
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): "v1beta1",
}
"""The version that Kubernetes itself stores, where that differs from ours: discovery publishes a hash of it."""
