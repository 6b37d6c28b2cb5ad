"""Who may do what, and what is asked before something is done."""

from __future__ import annotations

from collections.abc import Callable

from kube_actors.apiserver.tables.printer import (
    NONE,
    UNSET,
    Cells,
    Column,
    JSONObject,
    Printer,
    age_column,
    age_of,
    at,
    human_duration,
    items,
    name_column,
    name_of,
    part,
    wide,
)

_SIGNER = """\
Requested signer for the request. It is a qualified name in the form: `scope-hostname.io/name`. If empty, it will be \
defaulted:
 1. If it's a kubelet client certificate, it is assigned
    "kubernetes.io/kube-apiserver-client-kubelet".
 2. If it's a kubelet serving certificate, it is assigned
    "kubernetes.io/kubelet-serving".
 3. Otherwise, it is assigned "kubernetes.io/legacy-unknown".
Distribution of trust for signers happens out of band. You can select on this field using `spec.signerName`."""


def _account(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), age_of(obj, now)]


def _binding(obj: JSONObject, now: float) -> Cells:
    role = part(obj, "roleRef")
    by_kind: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or []:
        name = subject.get("name", "")
        if subject.get("kind") == "ServiceAccount":
            name = f"{subject.get('namespace', '')}/{name}"
        by_kind.setdefault(subject.get("kind", ""), []).append(name)
    subjects = [", ".join(by_kind[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [name_of(obj), f"{role.get('kind', '')}/{role.get('name', '')}", age_of(obj, now), *subjects]


def _signing_request(obj: JSONObject, now: float) -> Cells:
    spec = part(obj, "spec")
    seconds = spec.get("expirationSeconds")
    return [
        name_of(obj),
        age_of(obj, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        NONE if seconds is None else human_duration(seconds),
        _condition(obj),
    ]


def _condition(obj: JSONObject) -> str:
    types = {condition.get("type") for condition in items(obj, "status", "conditions")}
    word = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    if "Failed" in types:
        word += ",Failed"
    return word + ",Issued" if at(obj, "status", "certificate") else word


def _webhooks(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), len(obj.get("webhooks") or []), age_of(obj, now)]


def _policy(field: str) -> Callable[[JSONObject, float], Cells]:
    def cells(obj: JSONObject, now: float) -> Cells:
        kind = part(obj, "spec", "paramKind")
        text = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET
        return [name_of(obj), len(items(obj, "spec", field)), text, age_of(obj, now)]

    return cells


def _policy_binding(obj: JSONObject, now: float) -> Cells:
    reference = at(obj, "spec", "paramRef")
    text = UNSET
    if reference:
        text = f"{reference.get('namespace') or '*'}/{reference.get('name') or '*'}"
    return [name_of(obj), at(obj, "spec", "policyName") or "", text, age_of(obj, now)]


def _service(obj: JSONObject, now: float) -> Cells:
    """An APIService: whoever serves it, and whether it answers."""
    service = part(obj, "spec").get("service")
    where = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    found: JSONObject = next((c for c in items(obj, "status", "conditions") if c.get("type") == "Available"), {})
    word = found.get("status", "Unknown")
    if word != "True" and found.get("reason"):
        word = f"{word} ({found['reason']})"
    return [name_of(obj), where, word, age_of(obj, now)]


def _number(name: str, doc: str) -> Column:
    return Column(name, doc, "integer")


_BINDING = Printer(
    (
        name_column(),
        Column(
            "Role",
            "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the "
            "RoleRef cannot be resolved, the Authorizer must return an error.",
        ),
        age_column(),
        wide("Users", "Users in the roleBinding"),
        wide("Groups", "Groups in the roleBinding"),
        wide("ServiceAccounts", "ServiceAccounts in the roleBinding"),
    ),
    _binding,
)
_CLUSTER_BINDING = Printer(
    (
        name_column(),
        Column(
            "Role",
            "RoleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the "
            "Authorizer must return an error.",
        ),
        age_column(),
        wide("Users", "Users in the clusterRoleBinding"),
        wide("Groups", "Groups in the clusterRoleBinding"),
        wide("ServiceAccounts", "ServiceAccounts in the clusterRoleBinding"),
    ),
    _binding,
)
_WEBHOOKS = Printer(
    (
        name_column(),
        Column("Webhooks", "Webhooks indicates the number of webhooks registered in this configuration", "integer"),
        age_column(),
    ),
    _webhooks,
)
_POLICY_BINDING = Printer(
    (
        name_column(),
        Column("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to"),
        Column("ParamRef", "ParamRef indicates the param resource which sets the configuration param"),
        age_column(),
    ),
    _policy_binding,
)
_PARAM_KIND = Column("ParamKind", "ParamKind specifies the kind of resources used to parameterize this policy")

PRINTERS = {
    ("", "ServiceAccount"): Printer((name_column(), age_column()), _account),
    ("rbac.authorization.k8s.io", "RoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _CLUSTER_BINDING,
    ("certificates.k8s.io", "CertificateSigningRequest"): Printer(
        (
            name_column(),
            age_column(),
            Column("SignerName", _SIGNER),
            Column("Requestor", "Base64-encoded PKCS#10 CSR data"),
            Column("RequestedDuration", "=certificates.v1.CertificateSigningRequestSpec.expirationSeconds"),
            Column("Condition", "Conditions applied to the request, such as approval or denial."),
        ),
        _signing_request,
    ),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _WEBHOOKS,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): Printer(
        (
            name_column(),
            _number(
                "Validations", "Validations indicates the number of validation rules defined in this configuration"
            ),
            _PARAM_KIND,
            age_column(),
        ),
        _policy("validations"),
    ),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): Printer(
        (
            name_column(),
            _number("Mutations", "Mutation indicates the number of mutations rules defined in this configuration"),
            _PARAM_KIND,
            age_column(),
        ),
        _policy("mutations"),
    ),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): _POLICY_BINDING,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): _POLICY_BINDING,
    ("apiregistration.k8s.io", "APIService"): Printer(
        (
            name_column(),
            Column("Service", "The reference to the service that hosts this API endpoint."),
            Column("Available", "Whether this service is available."),
            age_column(),
        ),
        _service,
    ),
}
