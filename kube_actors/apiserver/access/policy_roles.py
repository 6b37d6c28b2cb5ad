"""The roles that every cluster has from its start, as facts: who may do what, in a notation of a line a rule.

A line without indent opens a role: its name, then labels that aggregate it, or `<-label` for what it aggregates. An
indented line is a rule: verbs, API groups ("core" is the empty one), resources, and perhaps `=names`; or verbs and
paths. `READ`, `WRITE` and `EVENTS` stand for what occurs everywhere. `policy` turns this into objects.
"""

from __future__ import annotations

CLUSTER_ROLES = """
cluster-admin
  * * *
  * *
system:discovery
  get /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/
system:monitoring
  get /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*
system:basic-user
  create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews
  create authentication.k8s.io selfsubjectreviews
system:public-info-viewer
  get /healthz,/livez,/readyz,/version,/version/
admin <-admin
edit admin <-edit
view edit <-view
system:aggregate-to-admin admin
  create authorization.k8s.io localsubjectaccessreviews
  READ,WRITE rbac.authorization.k8s.io rolebindings,roles
system:aggregate-to-edit edit
  READ core pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy
  impersonate core serviceaccounts
  WRITE core pods,pods/attach,pods/exec,pods/portforward,pods/proxy
  create core pods/eviction
  WRITE core configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,\
serviceaccounts,services,services/proxy
  create core serviceaccounts/token
  WRITE apps daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,\
statefulsets,statefulsets/scale
  WRITE autoscaling horizontalpodautoscalers
  WRITE batch cronjobs,jobs
  WRITE extensions daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,\
replicasets,replicasets/scale,replicationcontrollers/scale
  WRITE policy poddisruptionbudgets
  WRITE networking.k8s.io ingresses,networkpolicies
  READ,WRITE coordination.k8s.io leases
  WRITE resource.k8s.io resourceclaims,resourceclaimtemplates
system:aggregate-to-view view
  READ core configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,\
replicationcontrollers/scale,serviceaccounts,services,services/status
  READ core bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,\
resourcequotas,resourcequotas/status
  READ core namespaces
  READ discovery.k8s.io endpointslices
  READ apps controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,\
replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status
  READ autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status
  READ batch cronjobs,cronjobs/status,jobs,jobs/status
  READ extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,\
ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale
  READ policy poddisruptionbudgets,poddisruptionbudgets/status
  READ networking.k8s.io ingresses,ingresses/status,networkpolicies
  READ resource.k8s.io resourceclaims,resourceclaims/status,resourceclaimtemplates
system:heapster
  READ core events,namespaces,nodes,pods
  READ extensions deployments
system:node
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews
  READ core services
  create,READ core nodes
  patch,update core nodes/status
  patch,update core nodes
  create,patch,update core events
  READ core pods
  create,delete core pods
  patch,update core pods/status
  create core pods/eviction
  READ core configmaps,secrets
  get core persistentvolumeclaims,persistentvolumes
  get core endpoints
  create,READ certificates.k8s.io certificatesigningrequests
  create,delete,get,patch,update coordination.k8s.io leases
  get storage.k8s.io volumeattachments
  create core serviceaccounts/token
  get,patch,update core persistentvolumeclaims/status
  READ storage.k8s.io csidrivers
  create,delete,get,patch,update storage.k8s.io csinodes
  READ node.k8s.io runtimeclasses
  get resource.k8s.io resourceclaims
  deletecollection resource.k8s.io resourceslices
  create,delete,patch,update,READ resource.k8s.io resourceslices
system:node-problem-detector
  get core nodes
  patch core nodes/status
  EVENTS
system:node-proxier
  list,watch core endpoints,services
  READ core nodes
  EVENTS
  list,watch discovery.k8s.io endpointslices
  list,watch networking.k8s.io servicecidrs
system:kubelet-api-admin
  READ core nodes
  proxy core nodes
  * core nodes/configz,nodes/healthz,nodes/log,nodes/metrics,nodes/pods,nodes/proxy,nodes/stats
system:node-bootstrapper
  create,READ certificates.k8s.io certificatesigningrequests
system:auth-delegator
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io subjectaccessreviews
system:kube-aggregator
  READ core endpoints,services
system:kube-controller-manager
  EVENTS
  create coordination.k8s.io leases
  get,update coordination.k8s.io leases =kube-controller-manager
  create core secrets,serviceaccounts
  delete core secrets
  get core configmaps,namespaces,secrets,serviceaccounts
  update core secrets,serviceaccounts
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io subjectaccessreviews
  list,watch * *
  create core serviceaccounts/token
system:kube-dns
  list,watch core endpoints,services
  list,watch discovery.k8s.io endpointslices
system:persistent-volume-provisioner
  create,delete,READ core persistentvolumes
  update,READ core persistentvolumeclaims
  READ storage.k8s.io storageclasses
  watch core events
  EVENTS
system:volume-scheduler
  patch,update,READ core persistentvolumes
  READ storage.k8s.io storageclasses
  patch,update,READ core persistentvolumeclaims
system:certificates.k8s.io:certificatesigningrequests:nodeclient
  create certificates.k8s.io certificatesigningrequests/nodeclient
system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
  create certificates.k8s.io certificatesigningrequests/selfnodeclient
system:certificates.k8s.io:kube-apiserver-client-approver
  approve certificates.k8s.io signers =kubernetes.io/kube-apiserver-client
system:certificates.k8s.io:kube-apiserver-client-kubelet-approver
  approve certificates.k8s.io signers =kubernetes.io/kube-apiserver-client-kubelet
system:certificates.k8s.io:kubelet-serving-approver
  approve certificates.k8s.io signers =kubernetes.io/kubelet-serving
system:certificates.k8s.io:legacy-unknown-approver
  approve certificates.k8s.io signers =kubernetes.io/legacy-unknown
system:service-account-issuer-discovery
  get /.well-known/openid-configuration,/openid/v1/jwks
system:kube-scheduler
  EVENTS
  create coordination.k8s.io leases
  get,list,update,watch coordination.k8s.io leases =kube-scheduler
  READ core nodes
  delete,READ core pods
  create core bindings,pods/binding
  patch,update core pods/status
  READ core replicationcontrollers,services
  READ apps,extensions replicasets
  READ apps statefulsets
  READ policy poddisruptionbudgets
  READ core persistentvolumeclaims,persistentvolumes
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io subjectaccessreviews
  READ storage.k8s.io csinodes
  READ core namespaces
  READ storage.k8s.io csidrivers
  READ storage.k8s.io csistoragecapacities
  READ storage.k8s.io volumeattachments
  READ resource.k8s.io deviceclasses
  patch,update,READ resource.k8s.io resourceclaims
  patch,update,READ resource.k8s.io resourceclaims/status
  READ resource.k8s.io resourceslices
  update core pods/finalizers
"""

CLUSTER_ROLE_BINDINGS = """
cluster-admin group:system:masters
system:monitoring group:system:monitoring
system:discovery group:system:authenticated
system:basic-user group:system:authenticated
system:public-info-viewer group:system:authenticated group:system:unauthenticated
system:node-proxier user:system:kube-proxy
system:kube-controller-manager user:system:kube-controller-manager
system:kube-dns account:kube-system/kube-dns
system:kube-scheduler user:system:kube-scheduler
system:volume-scheduler user:system:kube-scheduler
system:node
system:service-account-issuer-discovery group:system:serviceaccounts
"""
"""The role, which is the binding's name too, and its subjects."""

NAMESPACE_ROLES = """
kube-system/extension-apiserver-authentication-reader
  READ core configmaps =extension-apiserver-authentication
kube-system/system:controller:bootstrap-signer
  READ core secrets
kube-system/system:controller:cloud-provider
  create,READ core configmaps
kube-system/system:controller:token-cleaner
  delete,READ core secrets
  EVENTS
kube-system/system::leader-locking-kube-controller-manager
  watch core configmaps
  get,update core configmaps =kube-controller-manager
  create,update,READ coordination.k8s.io leases
kube-system/system::leader-locking-kube-scheduler
  watch core configmaps
  get,update core configmaps =kube-scheduler
kube-public/system:controller:bootstrap-signer
  READ core configmaps
  update core configmaps =cluster-info
  EVENTS
"""

NAMESPACE_ROLE_BINDINGS = """
kube-system/system::extension-apiserver-authentication-reader extension-apiserver-authentication-reader \
user:system:kube-controller-manager user:system:kube-scheduler
kube-system/system::leader-locking-kube-controller-manager system::leader-locking-kube-controller-manager \
user:system:kube-controller-manager account:kube-system/kube-controller-manager \
account:kube-system/leader-election-controller
kube-system/system::leader-locking-kube-scheduler system::leader-locking-kube-scheduler \
user:system:kube-scheduler account:kube-system/kube-scheduler
kube-system/system:controller:bootstrap-signer system:controller:bootstrap-signer \
account:kube-system/bootstrap-signer
kube-system/system:controller:cloud-provider system:controller:cloud-provider account:kube-system/cloud-provider
kube-system/system:controller:token-cleaner system:controller:token-cleaner account:kube-system/token-cleaner
kube-public/system:controller:bootstrap-signer system:controller:bootstrap-signer \
account:kube-system/bootstrap-signer
"""
"""The binding, its role, its subjects."""
