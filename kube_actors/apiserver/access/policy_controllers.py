"""The rights of each built-in controller, in the notation of `policy_roles`.

Each becomes the ClusterRole system:controller:NAME, bound to the service account of that name in kube-system.
"""

from __future__ import annotations

CONTROLLER_ROLES = """
attachdetach-controller
  list,watch core persistentvolumeclaims,persistentvolumes
  READ core nodes
  patch,update core nodes/status
  list,watch core pods
  EVENTS
  create,delete,READ storage.k8s.io volumeattachments
  READ storage.k8s.io csidrivers
  READ storage.k8s.io csinodes
clusterrole-aggregation-controller
  escalate,patch,update,READ rbac.authorization.k8s.io clusterroles
cronjob-controller
  update,READ batch cronjobs
  create,delete,patch,update,READ batch jobs
  update batch cronjobs/status
  update batch cronjobs/finalizers
  delete,list,watch core pods
  EVENTS
daemon-set-controller
  READ apps,extensions daemonsets
  update apps,extensions daemonsets/status
  update apps,extensions daemonsets/finalizers
  list,watch core nodes
  create,delete,list,patch,watch core pods
  create core pods/binding
  create,delete,patch,update,READ apps controllerrevisions
  EVENTS
deployment-controller
  update,READ apps,extensions deployments
  update apps,extensions deployments/status
  update apps,extensions deployments/finalizers
  create,delete,patch,update,READ apps,extensions replicasets
  update,READ core pods
  EVENTS
disruption-controller
  READ apps,extensions deployments
  READ apps,extensions replicasets
  READ core replicationcontrollers
  READ policy poddisruptionbudgets
  READ apps statefulsets
  update policy poddisruptionbudgets/status
  patch,update core pods/status
  get * */scale
  EVENTS
endpoint-controller
  READ core pods,services
  create,delete,update,READ core endpoints
  create core endpoints/restricted
  EVENTS
endpointslice-controller
  READ core nodes,pods,services
  update core services/finalizers
  create,delete,update,READ discovery.k8s.io endpointslices
  EVENTS
endpointslicemirroring-controller
  READ core endpoints,services
  update core services/finalizers
  update core endpoints/finalizers
  create,delete,update,READ discovery.k8s.io endpointslices
  EVENTS
expand-controller
  patch,update,READ core persistentvolumes
  patch,update core persistentvolumeclaims/status
  READ core persistentvolumeclaims
  EVENTS
  get core services
ephemeral-volume-controller
  READ core pods
  update core pods/finalizers
  create,READ core persistentvolumeclaims
  EVENTS
resource-claim-controller
  READ core pods
  update core pods/finalizers
  create,delete,READ resource.k8s.io resourceclaims
  patch,update resource.k8s.io resourceclaims,resourceclaims/status
  patch,update core pods/status
  EVENTS
device-taint-eviction-controller
  delete,READ core pods
  patch,update core pods/status
  READ resource.k8s.io resourceclaims
  READ resource.k8s.io resourceslices
  READ resource.k8s.io deviceclasses
  READ resource.k8s.io devicetaintrules
  EVENTS
generic-garbage-collector
  delete,patch,update,READ * *
  EVENTS
horizontal-pod-autoscaler
  READ autoscaling horizontalpodautoscalers
  update autoscaling horizontalpodautoscalers/status
  get,update * */scale
  list,watch core pods
  list,watch metrics.k8s.io pods
  READ custom.metrics.k8s.io *
  READ external.metrics.k8s.io *
  EVENTS
job-controller
  patch,update,READ batch jobs
  update batch jobs/status
  update batch jobs/finalizers
  create,delete,list,patch,watch core pods
  EVENTS
namespace-controller
  delete,READ core namespaces
  update core namespaces/finalize,namespaces/status
  delete,deletecollection,READ * *
node-controller
  delete,patch,update,READ core nodes
  patch,update core nodes/status
  patch,update core pods/status
  delete,READ core pods
  EVENTS
persistent-volume-binder
  create,delete,update,READ core persistentvolumes
  update core persistentvolumes/status
  update,READ core persistentvolumeclaims
  update core persistentvolumeclaims/status
  create,delete,READ core pods
  READ storage.k8s.io storageclasses
  list,watch core nodes
  EVENTS
  watch core events
  get core services
pod-garbage-collector
  delete,list,watch core pods
  READ core nodes
  patch core pods/status
replicaset-controller
  update,READ apps,extensions replicasets
  update apps,extensions replicasets/status
  update apps,extensions replicasets/finalizers
  create,delete,list,patch,watch core pods
  EVENTS
replication-controller
  update,READ core replicationcontrollers
  update core replicationcontrollers/status
  update core replicationcontrollers/finalizers
  create,delete,list,patch,watch core pods
  EVENTS
resourcequota-controller
  list,watch * *
  update core resourcequotas/status
  EVENTS
route-controller
  list,watch core nodes
  patch core nodes/status
  EVENTS
service-account-controller
  create core serviceaccounts
  EVENTS
service-controller
  READ core services
  patch,update core services/status
  list,watch core nodes
  EVENTS
service-cidrs-controller
  patch,update,READ networking.k8s.io servicecidrs
  patch,update networking.k8s.io servicecidrs/finalizers
  patch,update networking.k8s.io servicecidrs/status
  READ networking.k8s.io ipaddresses
  EVENTS
statefulset-controller
  list,watch core pods
  READ apps statefulsets
  update apps statefulsets/status
  update apps statefulsets/finalizers
  create,delete,get,patch,update core pods
  create,delete,patch,update,READ apps controllerrevisions
  create,READ core persistentvolumeclaims
  delete,update core persistentvolumeclaims
  update core pods/finalizers
  EVENTS
ttl-controller
  list,patch,update,watch core nodes
  EVENTS
certificate-controller
  delete,READ certificates.k8s.io certificatesigningrequests
  update certificates.k8s.io certificatesigningrequests/approval,certificatesigningrequests/status
  approve certificates.k8s.io signers =kubernetes.io/kube-apiserver-client-kubelet
  sign certificates.k8s.io signers =kubernetes.io/kube-apiserver-client,\
kubernetes.io/kube-apiserver-client-kubelet,kubernetes.io/kubelet-serving,kubernetes.io/legacy-unknown
  create authorization.k8s.io subjectaccessreviews
  EVENTS
pvc-protection-controller
  update,READ core persistentvolumeclaims
  READ core pods
  EVENTS
pv-protection-controller
  update,READ core persistentvolumes
  EVENTS
volumeattributesclass-protection-controller
  READ core persistentvolumeclaims
  READ core persistentvolumes
  update,READ storage.k8s.io volumeattributesclasses
  EVENTS
ttl-after-finished-controller
  delete,READ batch jobs
  EVENTS
root-ca-cert-publisher
  create,update core configmaps
  EVENTS
validatingadmissionpolicy-status-controller
  READ admissionregistration.k8s.io validatingadmissionpolicies
  get,patch,update admissionregistration.k8s.io validatingadmissionpolicies/status
  EVENTS
legacy-service-account-token-cleaner
  get core configmaps =kube-apiserver-legacy-service-account-token-tracking
  delete,patch core secrets
selinux-warning-controller
  EVENTS
  READ core persistentvolumes
  READ core persistentvolumeclaims
  READ core pods
  READ storage.k8s.io csidrivers
"""
