"""Questions about access as objects: SubjectAccessReview and its kin, SelfSubjectReview, TokenReview.

They are sent, answered in their status, and never stored. Owns their rules and their answers; the decisions are
the authorizer's and the authenticator's.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api import errors
from kube_actors.api import field_errors as fields
from kube_actors.api.field_errors import FieldError
from kube_actors.api.messages import AnyAnswer, UserInfo
from kube_actors.apiserver import bodies, encoding
from kube_actors.apiserver.access.attributes import Attributes
from kube_actors.apiserver.access.rules import Rule
from kube_actors.apiserver.core import Call

JSONObject = dict[str, Any]

_NAMELESS = ".authorization.k8s.io"
"""How errors name these kinds: kube-apiserver has lost the kind by the time it looks."""


async def subject_access_review(call: Call) -> AnyAnswer:
    obj = _read(call)
    spec = obj["spec"]
    _refuse(obj, _problems(spec) + _subject_problems(spec))
    return await _reviewed(call, obj, _subject(spec))


async def local_subject_access_review(call: Call) -> AnyAnswer:
    obj = _read(call)
    spec = obj["spec"]
    attributes = spec.get("resourceAttributes")
    problems = _problems(spec) + _subject_problems(spec)
    if obj["metadata"].get("namespace") and attributes is not None:
        namespace = attributes.get("namespace", "")
        if namespace != obj["metadata"]["namespace"]:
            why = "must match metadata.namespace"
            problems.append(fields.invalid("spec.resourceAttributes.namespace", namespace, why))
    if spec.get("nonResourceAttributes") is not None:
        why = "disallowed on this kind of request"
        problems.append(fields.invalid("spec.nonResourceAttributes", spec["nonResourceAttributes"], why))
    _refuse(obj, problems, namespaced=True)
    if attributes is not None and attributes.get("namespace", "") != call.namespace:
        raise errors.bad_request(f"spec.resourceAttributes.namespace must match namespace: {call.namespace}")
    return await _reviewed(call, obj, _subject(spec))


async def self_subject_access_review(call: Call) -> AnyAnswer:
    obj = _read(call)
    _refuse(obj, _problems(obj["spec"]))
    return await _reviewed(call, obj, call.request.user)


async def self_subject_rules_review(call: Call) -> AnyAnswer:
    obj = _read(call)
    namespace = obj["spec"].get("namespace", "")
    if not namespace:
        raise errors.bad_request("no namespace on request")
    rules, problems = await call.core.access.rbac.rules_for(call.request.user, namespace)
    status: JSONObject = {
        "resourceRules": [_resource_rule(rule) for rule in rules if not rule.paths],
        "nonResourceRules": [
            {"verbs": list(rule.verbs), "nonResourceURLs": list(rule.paths)} for rule in rules if rule.paths
        ],
        "incomplete": False,
    }
    if problems:
        texts = list(dict.fromkeys(problems))
        status["evaluationError"] = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    obj["status"] = status
    return _answer(call, obj)


async def self_subject_review(call: Call) -> AnyAnswer:
    obj = _read(call)
    obj["status"] = {"userInfo": user_info(call.request.user)}
    return _answer(call, obj)


async def token_review(call: Call) -> AnyAnswer:
    obj = _read(call)
    spec = obj["spec"]
    if obj["metadata"].get("namespace"):
        raise errors.bad_request("namespace is not allowed on this type: " + obj["metadata"]["namespace"])
    if not spec.get("token"):
        raise errors.bad_request("token is required for TokenReview in authentication")
    found = await call.core.access.review_token(spec["token"], tuple(spec.get("audiences") or ()))
    status: JSONObject = {}
    if found.user is not None:
        status = {"authenticated": True, "user": user_info(found.user)}
        if found.audiences:
            status["audiences"] = list(found.audiences)
    else:
        status = {"user": {}}
        if found.error:
            status["error"] = found.error
    obj["status"] = status
    return _answer(call, obj)


def user_info(user: UserInfo) -> JSONObject:
    """A user as the API shows one."""
    found: JSONObject = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = list(user.groups)
    if user.extra:
        found["extra"] = {key: list(values) for key, values in sorted(user.extra.items())}
    return found


def _read(call: Call) -> JSONObject:
    bodies.check_write_options(call, "CreateOptions")
    obj = bodies.read(call)
    obj.setdefault("spec", {})
    if call.kind.namespaced and not obj["metadata"].get("namespace"):
        obj["metadata"]["namespace"] = call.namespace
    elif call.kind.namespaced and obj["metadata"]["namespace"] != call.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    return obj


def _answer(call: Call, obj: JSONObject) -> AnyAnswer:
    spec = obj.pop("spec", None)
    status = obj.pop("status")
    obj["metadata"].pop("managedFields", None)
    if spec is not None and call.kind.resource.kind != "SelfSubjectReview":
        obj["spec"] = spec
    obj["status"] = status
    return call.answer(encoding.whole(call.kind.head, obj), status=201)


def _refuse(obj: JSONObject, problems: list[FieldError], *, namespaced: bool = False) -> None:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    if namespaced:
        metadata.pop("namespace", None)
    if metadata:
        problems = [*problems, fields.invalid("metadata", metadata, "must be empty")]
    if problems:
        raise errors.invalid(_NAMELESS, "", problems)


def _problems(spec: JSONObject) -> list[FieldError]:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and other is not None:
        why = "cannot be specified in combination with resourceAttributes"
        return [fields.invalid("spec.nonResourceAttributes", other, why)]
    if resource is None and other is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [fields.invalid("spec.resourceAttributes", None, why)]
    return []


def _subject_problems(spec: JSONObject) -> list[FieldError]:
    if not spec.get("user") and not spec.get("groups"):
        return [fields.invalid("spec.user", "", "at least one of user or group must be specified")]
    return []


def _subject(spec: JSONObject) -> UserInfo:
    extra = {key: tuple(values or ()) for key, values in (spec.get("extra") or {}).items()}
    groups = tuple(spec.get("groups") or ())
    return UserInfo(name=spec.get("user", ""), uid=spec.get("uid", ""), groups=groups, extra=extra)


async def _reviewed(call: Call, obj: JSONObject, user: UserInfo) -> AnyAnswer:
    decision = await call.core.access.authorizer.explain(_asked(obj["spec"], user))
    status: JSONObject = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    obj["status"] = status
    return _answer(call, obj)


def _asked(spec: JSONObject, user: UserInfo) -> Attributes:
    other = spec.get("nonResourceAttributes")
    if other is not None:
        return Attributes(user=user, verb=other.get("verb", ""), path=other.get("path", "") or "/")
    resource = spec.get("resourceAttributes") or {}
    return Attributes(
        user=user,
        verb=resource.get("verb", ""),
        group=resource.get("group", ""),
        version=resource.get("version", "") or "*",
        resource=resource.get("resource", ""),
        subresource=resource.get("subresource", ""),
        namespace=resource.get("namespace", ""),
        name=resource.get("name", ""),
    )


def _resource_rule(rule: Rule) -> JSONObject:
    found: JSONObject = {"verbs": list(rule.verbs), "apiGroups": list(rule.groups), "resources": list(rule.resources)}
    if rule.names:
        found["resourceNames"] = list(rule.names)
    return found
