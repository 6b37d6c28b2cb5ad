"""The Status objects, word for word as a Kubernetes 1.36 server sent them."""

import json

import pytest

from kube_actors.api import errors, field_errors
from kube_actors.api.resources import Resources

DEPLOYMENTS = Resources().find("deployments")


def wire(error):
    return json.loads(error.status.encode())


def failure(code, reason, message, **details):
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    if reason:
        body["reason"] = reason
    if details:
        body["details"] = details
    return body | {"code": code}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            errors.not_found("pods", "x"),
            failure(404, "NotFound", 'pods "x" not found', name="x", kind="pods"),
        ),
        (
            errors.already_exists(DEPLOYMENTS, "x"),
            failure(
                409, "AlreadyExists", 'deployments.apps "x" already exists',
                name="x", group="apps", kind="deployments",
            ),
        ),
        (
            errors.being_deleted("configmaps", "x"),
            failure(
                409, "AlreadyExists", 'object is being deleted: configmaps "x" already exists',
                name="x", kind="configmaps",
            ),
        ),
        (
            errors.conflict("configmaps", "x"),
            failure(
                409, "Conflict",
                'Operation cannot be fulfilled on configmaps "x": the object has been modified; please apply your '
                "changes to the latest version and try again",
                name="x", kind="configmaps",
            ),
        ),
        (
            errors.invalid(
                "CertificateSigningRequest.certificates.k8s.io", "w",
                [field_errors.not_supported("status.conditions[0].status", "False", ["True"])],
            ),
            failure(
                422, "Invalid",
                'CertificateSigningRequest.certificates.k8s.io "w" is invalid: status.conditions[0].status: '
                'Unsupported value: "False": supported values: "True"',
                name="w", group="certificates.k8s.io", kind="CertificateSigningRequest",
                causes=[{
                    "reason": "FieldValueNotSupported",
                    "message": 'Unsupported value: "False": supported values: "True"',
                    "field": "status.conditions[0].status",
                }],
            ),
        ),
        (
            errors.invalid("Pod", "x", [
                field_errors.duplicate("spec.containers[1].name", "c"),
                field_errors.duplicate("spec.initContainers[0].name", "c"),
            ]),
            failure(
                422, "Invalid",
                'Pod "x" is invalid: [spec.containers[1].name: Duplicate value: "c", '
                'spec.initContainers[0].name: Duplicate value: "c"]',
                name="x", kind="Pod",
                causes=[
                    {"reason": "FieldValueDuplicate", "message": 'Duplicate value: "c"', "field": field}
                    for field in ("spec.containers[1].name", "spec.initContainers[0].name")
                ],
            ),
        ),
        (
            errors.forbidden(DEPLOYMENTS, "", 'User "u" cannot list resource "deployments" in API group "apps"'),
            failure(
                403, "Forbidden",
                'deployments.apps is forbidden: User "u" cannot list resource "deployments" in API group "apps"',
                group="apps", kind="deployments",
            ),
        ),
        (errors.unauthorized(), failure(401, "Unauthorized", "Unauthorized")),
        (errors.server_failure("map: odd"), failure(500, "", "map: odd")),
        (
            errors.too_old(1, 5),
            failure(410, "Expired", "too old resource version: 1 (5)"),
        ),
    ],
)  # fmt: skip
def test_wording(error, expected):
    assert wire(error) == expected
    assert list(wire(error)) == list(expected)


def test_empty_details_are_sent():
    assert wire(errors.method_not_allowed())["details"] == {}


def test_expired_list_carries_its_token():
    assert wire(errors.expired("too old", "abc"))["metadata"] == {"continue": "abc"}


def test_success():
    status = json.loads(errors.success("pods", "x", "u1").encode())
    assert status == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "x", "kind": "pods", "uid": "u1"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (field_errors.required("spec.a"), "spec.a: Required value"),
        (field_errors.required("spec.a", "say it"), "spec.a: Required value: say it"),
        (field_errors.invalid("a", -1, "must be 0"), "a: Invalid value: -1: must be 0"),
        (field_errors.invalid("a", 1.5, "no"), "a: Invalid value: 1.5: no"),
        (field_errors.invalid("a", True, "no"), "a: Invalid value: true: no"),
        (field_errors.invalid("a", None, "no"), "a: Invalid value: null: no"),
        (field_errors.invalid("a", {"b": "x > 1", "a": 2}, "no"), 'a: Invalid value: {"a":2,"b":"x \\u003e 1"}: no'),
        (field_errors.invalid("a", 'q"\n', "no"), 'a: Invalid value: "q\\"\\n": no'),
        (field_errors.invalid("a", field_errors.OMITTED, "said by a rule"), "a: Invalid value: said by a rule"),
        (field_errors.too_long("a", 4), "a: Too long: may not be more than 4 bytes"),
        (field_errors.too_many("a", 3, 2), "a: Too many: 3: must have at most 2 items"),
        (field_errors.not_found("a", "v"), 'a: Not found: "v"'),
        (field_errors.forbidden("a", "may not"), "a: Forbidden: may not"),
    ],
)
def test_field_errors(error, text):
    assert str(error) == text


def test_decode_keeps_what_the_server_said():
    sent = errors.invalid("Pod", "x", [field_errors.required("spec.containers")])
    got = errors.decode(422, sent.status.encode())
    assert got.status == sent.status
    assert got.is_invalid
    assert got.details.causes[0].field == "spec.containers"


def test_decode_of_what_is_no_status():
    got = errors.decode(404, b"404 page not found\n")
    assert (got.code, got.reason, got.message) == (404, "NotFound", "404 page not found")
