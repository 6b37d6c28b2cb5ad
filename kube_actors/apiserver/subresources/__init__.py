"""Sub-resources that do more than write a part of their object. status needs no entry: it is an ordinary write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kube_actors.api.messages import AnyAnswer
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.subresources import (
    access_reviews,
    approval,
    binding,
    ephemeral,
    eviction,
    namespaces,
    proxy,
    resize,
    scale,
    streams,
    token_request,
)

Serve = Callable[[Call], Awaitable[AnyAnswer]]

SUBRESOURCES: dict[tuple[str, str, str], Serve] = {
    ("", "pods", "binding"): binding.bind,
    ("", "pods", "eviction"): eviction.evict,
    ("", "pods", "log"): streams.log,
    ("", "pods", "exec"): streams.exec_,
    ("", "pods", "attach"): streams.attach,
    ("", "pods", "ephemeralcontainers"): ephemeral.ephemeral_containers,
    ("", "pods", "resize"): resize.resize,
    ("", "namespaces", "finalize"): namespaces.finalize,
    ("", "pods", "portforward"): streams.portforward,
    ("", "pods", "proxy"): proxy.pod,
    ("", "services", "proxy"): proxy.service,
    ("", "nodes", "proxy"): proxy.node,
    ("", "serviceaccounts", "token"): token_request.token,
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): approval.approve,
    ("*", "*", "scale"): scale.scale,
}
"""By group, plural and sub-resource."""

COLLECTIONS: dict[tuple[str, str], Serve] = {
    ("", "bindings"): binding.bind,
    ("authorization.k8s.io", "subjectaccessreviews"): access_reviews.subject_access_review,
    ("authorization.k8s.io", "localsubjectaccessreviews"): access_reviews.local_subject_access_review,
    ("authorization.k8s.io", "selfsubjectaccessreviews"): access_reviews.self_subject_access_review,
    ("authorization.k8s.io", "selfsubjectrulesreviews"): access_reviews.self_subject_rules_review,
    ("authentication.k8s.io", "selfsubjectreviews"): access_reviews.self_subject_review,
    ("authentication.k8s.io", "tokenreviews"): access_reviews.token_review,
}
"""Resources that are not stored: what a create on them does."""
