"""Admission: ordered steps that complete or refuse a write before it is stored."""

from __future__ import annotations

from kube_actors.apiserver.access.escalation import Escalation
from kube_actors.apiserver.admission import late
from kube_actors.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateRequester,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from kube_actors.apiserver.admission.chain import Step
from kube_actors.apiserver.admission.ingress_class import DefaultIngressClass
from kube_actors.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from kube_actors.apiserver.admission.node_restriction import NodeRestriction
from kube_actors.apiserver.admission.nodes import TaintNodesByCondition
from kube_actors.apiserver.admission.pod_security.step import PodSecurity
from kube_actors.apiserver.admission.priority import Priority
from kube_actors.apiserver.admission.runtime_class import RuntimeClass
from kube_actors.apiserver.admission.service_account import ServiceAccount
from kube_actors.apiserver.admission.storage import (
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)
from kube_actors.apiserver.admission.tolerations import DefaultTolerationSeconds
from kube_actors.apiserver.admission.topology import PodTopologyLabels


def default_steps() -> list[Step]:
    """The steps that kube-apiserver runs by default, in its order."""
    return [
        NamespaceLifecycle(),
        late.limits(),
        ServiceAccount(),
        TaintNodesByCondition(),
        PodSecurity(),
        Priority(),
        DefaultTolerationSeconds(),
        DefaultStorageClass(),
        StorageObjectInUseProtection(),
        PersistentVolumeClaimResize(),
        RuntimeClass(),
        CertificateRequester(),
        CertificateApproval(),
        CertificateSigning(),
        CertificateSubjectRestriction(),
        DefaultIngressClass(),
        PodTopologyLabels(),
        *late.foreign(),
        NodeRestriction(),
        Escalation(),
        late.quotas(),
    ]
