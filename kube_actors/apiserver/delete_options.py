"""What a delete was asked to do: from its body or its query, checked. Pure but for the errors it raises."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from kube_actors.api import errors
from kube_actors.api import field_errors as fields
from kube_actors.apiserver import bodies, shape
from kube_actors.apiserver.core import Call

POLICIES = ("Foreground", "Background", "Orphan", "nil")
_NAME = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"


class DeleteOptions(Struct, frozen=True, kw_only=True):
    """Everything that steers one delete."""

    grace_seconds: int | None = None
    propagation_policy: str = ""
    orphan_dependents: bool | None = None
    uid: str = ""
    resource_version: str = ""


def delete_options(call: Call) -> DeleteOptions:
    """From the body if there is one, else from the query. A dryRun in the body counts for the call."""
    options = call.options
    found = (
        _from_body(call)
        if call.request.body.strip()
        else DeleteOptions(
            grace_seconds=options.grace_seconds,
            propagation_policy=options.propagation_policy,
            orphan_dependents=options.orphan_dependents,
        )
    )
    bodies.check_write_options(call, "DeleteOptions")
    problems = _problems(found)
    if problems:
        raise errors.invalid("DeleteOptions.meta.k8s.io", "", problems)
    return found


def _problems(found: DeleteOptions) -> list[fields.FieldError]:
    problems = []
    policy = found.propagation_policy
    if policy and found.orphan_dependents is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        problems.append(fields.invalid("propagationPolicy", policy, text))
    elif policy and policy not in POLICIES[:3]:
        problems.append(fields.not_supported("propagationPolicy", policy, POLICIES))
    return problems


def _from_body(call: Call) -> DeleteOptions:
    bodies.check_size(call.request.body)
    try:
        value = bodies.parse(call, [])
    except bodies.Unparsable as error:
        raise errors.bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(value, dict):
        raise errors.bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal into Go value")
    kind = value.get("kind") or "DeleteOptions"
    if kind != "DeleteOptions":
        raise errors.bad_request(
            f'no kind "{kind}" is registered for version "{value.get("apiVersion", "v1")}" in scheme '
            '"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"'
        )
    return from_object(call, value)


def from_object(call: Call, value: dict[str, Any]) -> DeleteOptions:
    """DeleteOptions as an object: a delete's body, or a part of an Eviction."""
    try:
        read = shape.compiled(_NAME).read(value, shape.Place(None, "", "DeleteOptions"), [])
    except shape.WrongType as error:
        raise errors.bad_request(str(error)) from None
    if read.get("dryRun"):
        _check_dry_run(read["dryRun"])
        call.dry_run = True
    conditions: dict[str, Any] = read.get("preconditions") or {}
    return DeleteOptions(
        grace_seconds=read.get("gracePeriodSeconds"),
        propagation_policy=read.get("propagationPolicy", ""),
        orphan_dependents=read.get("orphanDependents"),
        uid=conditions.get("uid", ""),
        resource_version=conditions.get("resourceVersion", ""),
    )


def _check_dry_run(values: list[str]) -> None:
    if any(value != "All" for value in values):
        raise errors.invalid("DeleteOptions.meta.k8s.io", "", [fields.not_supported("dryRun", values, ["All"])])
