"""Accept headers as real clients send them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Request
from kube_actors.apiserver.negotiation import PLAIN, View, choose, view_for

TABLES = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,"


@pytest.mark.parametrize(
    ("header", "view"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("application/*", PLAIN),
        ("application/json", PLAIN),
        ("application/json;stream=watch", PLAIN),
        ("application/vnd.kubernetes.protobuf,application/json", PLAIN),
        ("application/vnd.kubernetes.protobuf, */*", PLAIN),
        (TABLES + "application/json", View(transform="Table")),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", View(transform="Table", version="v1beta1")),
        ("application/json;as=Table;v=v9;g=meta.k8s.io, application/json", PLAIN),
        ("application/json;q=0.1, application/yaml", View("application/yaml")),
        (
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
            View(transform="PartialObjectMetadataList"),
        ),
    ],
)
def test_what_is_chosen(header: str, view: View) -> None:
    assert choose(header) == view


@pytest.mark.parametrize(
    ("header", "beginning"),
    [
        ("text/html", "406: Not Acceptable\n\nAvailable representations: "),
        ("application/vnd.kubernetes.protobuf", "only the following media types are accepted: application/json, "),
        ("application/json;as=Table;v=v9;g=meta.k8s.io", "only the following media types are accepted: "),
    ],
)
def test_what_is_not_acceptable(header: str, beginning: str) -> None:
    with pytest.raises(ApiError) as raised:
        choose(header)
    assert (raised.value.code, raised.value.reason) == (406, "NotAcceptable")
    assert raised.value.message.startswith(beginning)


@given(st.text(max_size=40))
def test_no_header_breaks_it(header: str) -> None:
    try:
        choose(header)
    except ApiError as error:
        assert error.code == 406


def test_what_is_only_asked_has_no_table() -> None:
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"

    def asked(resource: str, accept: str, subresource: str = "") -> Request:
        return Request(verb="create", version="v1", resource=resource, subresource=subresource, accept=accept)

    assert view_for(asked("pods", table)).transform == "Table"
    assert view_for(asked("subjectaccessreviews", table + ",application/json")) == PLAIN
    for resource, subresource in (("subjectaccessreviews", ""), ("pods", "eviction"), ("serviceaccounts", "token")):
        with pytest.raises(ApiError) as refused:
            view_for(asked(resource, table, subresource))
        assert refused.value.code == 406
        assert refused.value.status.message.startswith("only the following media types are accepted")
