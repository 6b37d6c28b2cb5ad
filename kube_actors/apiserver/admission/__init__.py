"""Admission: ordered steps that complete or refuse a write before it is stored."""

from __future__ import annotations

from kube_actors.apiserver.admission.chain import Step
from kube_actors.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from kube_actors.apiserver.admission.nodes import TaintNodesByCondition
from kube_actors.apiserver.admission.priority import Priority
from kube_actors.apiserver.admission.service_account import ServiceAccount
from kube_actors.apiserver.admission.storage import DefaultStorageClass, StorageObjectInUseProtection
from kube_actors.apiserver.admission.tolerations import DefaultTolerationSeconds


def default_steps() -> list[Step]:
    """The steps that kube-apiserver runs by default, in its order, as far as they are here."""
    return [
        NamespaceLifecycle(),
        ServiceAccount(),
        TaintNodesByCondition(),
        Priority(),
        DefaultTolerationSeconds(),
        DefaultStorageClass(),
        StorageObjectInUseProtection(),
    ]
