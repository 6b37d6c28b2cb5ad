"""What the outcome of admission for a new pod rests on, beside the pod itself: collections and single objects.

Owns the table of the steps that kube-apiserver runs by default. While nothing in it has changed, two pods that are
alike come out alike, so that the second need not go the long way (`molds`). Knows nothing of how that is done.
"""

from __future__ import annotations

from msgspec import Struct

from kube_actors.apiserver.access.escalation import Escalation
from kube_actors.apiserver.admission import certificates, storage
from kube_actors.apiserver.admission.chain import JSONObject, Step
from kube_actors.apiserver.admission.ingress_class import DefaultIngressClass
from kube_actors.apiserver.admission.late import Late
from kube_actors.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from kube_actors.apiserver.admission.node_restriction import NodeRestriction
from kube_actors.apiserver.admission.nodes import TaintNodesByCondition
from kube_actors.apiserver.admission.pod_security.levels import PREFIX
from kube_actors.apiserver.admission.pod_security.step import PodSecurity
from kube_actors.apiserver.admission.priority import Priority
from kube_actors.apiserver.admission.runtime_class import RuntimeClass
from kube_actors.apiserver.admission.service_account import ServiceAccount, ServiceAccountName
from kube_actors.apiserver.admission.tolerations import DefaultTolerationSeconds
from kube_actors.apiserver.admission.topology import PodTopologyLabels
from kube_actors.apiserver.mirror import Mirror, Mirrors

_JUDGED = PREFIX.encode()

_COLLECTIONS: dict[type[Step], tuple[str, ...]] = {
    NamespaceLifecycle: (),
    ServiceAccount: (),
    ServiceAccountName: (),
    TaintNodesByCondition: (),
    PodSecurity: (),
    Priority: ("/registry/scheduling.k8s.io/priorityclasses/",),
    DefaultTolerationSeconds: (),
    storage.DefaultStorageClass: (),
    storage.StorageObjectInUseProtection: (),
    storage.PersistentVolumeClaimResize: (),
    RuntimeClass: ("/registry/node.k8s.io/runtimeclasses/",),
    certificates.CertificateRequester: (),
    certificates.CertificateApproval: (),
    certificates.CertificateSigning: (),
    certificates.CertificateSubjectRestriction: (),
    DefaultIngressClass: (),
    PodTopologyLabels: (),
    NodeRestriction: (),  # nodes are told apart by who asks
    Escalation: (),
}
"""Steps that give like pods the like, and the collections whose objects have a say in it."""


class Footing(Struct, frozen=True):
    """Of one chain of steps: `absent` must be empty, `present` must not change. None of it where a step is unknown."""

    absent: tuple[Mirror, ...]
    present: tuple[Mirror, ...]

    def versions(self) -> tuple[int, ...] | None:
        """How `present` is now; None when that is not known without waiting, or when `absent` is not empty."""
        for mirror in self.absent:
            if not mirror.is_empty():
                return None
        found = tuple([mirror.version for mirror in self.present if mirror.is_current()])
        return found if len(found) == len(self.present) else None

    async def read(self) -> tuple[int, ...] | None:
        """As versions, after a look at what nobody has read yet."""
        for mirror in (*self.absent, *self.present):
            await mirror.read()
        return self.versions()


def footing_of(steps: tuple[Step, ...], mirrors: Mirrors) -> Footing | None:
    """What new pods rest on; None when a step is not one of the default ones."""
    absent: list[Mirror] = []
    present: list[Mirror] = []
    for step in steps:
        if isinstance(step, Late):
            absent.append(mirrors.of(step.prefix))
            continue
        collections = _COLLECTIONS.get(type(step))
        if collections is None:
            return None
        present.extend(mirrors.of(prefix) for prefix in collections)
    return Footing(tuple(absent), tuple(present))


def objects_of(pod: JSONObject) -> tuple[str, str]:
    """The keys of the objects that have a say in one pod: its namespace and its account."""
    namespace = pod["metadata"]["namespace"]
    account = pod["spec"].get("serviceAccountName", "")
    return f"/registry/core/namespaces/{namespace}", f"/registry/core/serviceaccounts/{namespace}/{account}"


def is_plain(namespace: bytes, pod: JSONObject) -> bool:
    """Whether nothing but the collections and these objects has a say: nobody judges the pods of the namespace."""
    return _JUDGED not in namespace and "runtimeClassName" not in pod["spec"]
