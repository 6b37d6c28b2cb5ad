"""Selectors: matching, and the complaints of a recorded Kubernetes 1.36 server."""

import pytest

from kube_actors.api import selectors
from kube_actors.api.selectors import SelectorError
from kube_actors.api.types.meta_v1 import LabelSelector, LabelSelectorRequirement


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        ("a=b", {"a": "b"}, {"a": "c"}),
        ("a==b", {"a": "b"}, {}),
        ("a!=b", {}, {"a": "b"}),
        ("a in (b, c)", {"a": "c"}, {"a": "d"}),
        ("a notin (b,c)", {"a": "d"}, {"a": "b"}),
        ("a notin (b,c)", {}, {"a": "b"}),
        ("a", {"a": ""}, {}),
        ("!a", {}, {"a": "x"}),
        ("a>3", {"a": "4"}, {"a": "x"}),
        ("a<3", {"a": "-4"}, {"a": "3"}),
        ("a=b,c=d", {"a": "b", "c": "d"}, {"a": "b"}),
        ("a=", {"a": ""}, {}),
        ("a in ()", {"a": ""}, {}),
        ("a in (,b)", {"a": ""}, {"a": "c"}),
        ("in in (in)", {"in": "in"}, {}),
        ("", {"any": "thing"}, None),
        ("example.com/a=b", {"example.com/a": "b"}, {}),
    ],
)
def test_matching(text, matching, other):
    selector = selectors.parse(text)
    assert selector.matches(matching)
    if other is not None:
        assert not selector.matches(other)


NAME_PART = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app=x=y", "found '=', expected: ',' or 'end of string'"),
        ("app in", "unable to parse requirement: found '' expected: '('"),
        ("app in x", "unable to parse requirement: found 'x' expected: '('"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("=x", "found '=', expected: !, identifier, or 'end of string'"),
        (
            "app>",
            "unable to parse requirement: values[0]: Invalid value: \"\": for 'Gt', 'Lt' operators, the value must be "
            "an integer",
        ),
        ("app=b c", "found 'c', expected: ',' or 'end of string'"),
        ("app in (x", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("app!x", "unable to parse requirement: found '!', expected: in, notin, =, ==, !=, gt, lt"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("app=x,,b=y", "found ',', expected: identifier after ','"),
        ("_bad=1", f'unable to parse requirement: <nil>: Invalid value: "_bad": name part {NAME_PART}'),
        (
            "BAD/KEY/X=1",
            f'unable to parse requirement: <nil>: Invalid value: "BAD/KEY/X": a valid label key {NAME_PART} with an '
            "optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
        ),
        (
            "app=" + "v" * 64,
            f'unable to parse requirement: values[0][app]: Invalid value: "{"v" * 64}": must be no more than 63 bytes',
        ),
    ],
)
def test_complaints(text, message):
    with pytest.raises(SelectorError) as caught:
        selectors.parse(text)
    assert str(caught.value) == message


def test_structured():
    assert not selectors.compile_selector(None).matches({})
    assert selectors.compile_selector(LabelSelector()).is_everything
    selector = selectors.compile_selector(
        LabelSelector(
            match_labels={"app": "x"},
            match_expressions=(
                LabelSelectorRequirement(key="tier", operator="NotIn", values=("b", "a")),
                LabelSelectorRequirement(key="gone", operator="DoesNotExist"),
            ),
        )
    )
    assert selector.matches({"app": "x", "tier": "c"})
    assert not selector.matches({"app": "x", "tier": "a"})
    assert str(selector) == "app=x,!gone,tier notin (a,b)"


def test_structured_complaints():
    bad = LabelSelector(match_expressions=(LabelSelectorRequirement(key="a", operator="Nope"),))
    with pytest.raises(SelectorError, match='"Nope" is not a valid label selector operator'):
        selectors.compile_selector(bad)
    empty = LabelSelector(match_expressions=(LabelSelectorRequirement(key="a", operator="In"),))
    with pytest.raises(SelectorError, match="values set can't be empty"):
        selectors.compile_selector(empty)


def test_from_labels():
    assert str(selectors.from_labels({"b": "2", "a": "1"})) == "a=1,b=2"


@pytest.mark.parametrize(
    ("text", "fields", "matches"),
    [
        ("metadata.name=a", {"metadata.name": "a"}, True),
        ("metadata.name==a", {"metadata.name": "b"}, False),
        ("spec.nodeName=", {}, True),
        ("spec.nodeName!=n1,status.phase=Pending", {"status.phase": "Pending"}, True),
        ("a=b\\,c\\=d", {"a": "b,c=d"}, True),
        ("", {}, True),
        (",a=b,", {"a": "b"}, True),
    ],
)
def test_fields(text, fields, matches):
    assert selectors.parse_fields(text).matches(lambda name: fields.get(name, "")) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("metadata.name=a=b", "invalid field selector: unescaped character in value: 61"),
        ("metadata.name in (a)", "invalid selector: 'metadata.name in (a)'; can't understand 'metadata.name in (a)'"),
    ],
)
def test_field_complaints(text, message):
    with pytest.raises(SelectorError) as caught:
        selectors.parse_fields(text)
    assert str(caught.value) == message


def test_required_field():
    selector = selectors.parse_fields("spec.nodeName=n1,metadata.name!=x")
    assert selector.required("spec.nodeName") == "n1"
    assert selector.required("metadata.name") is None
    assert str(selector) == "spec.nodeName=n1,metadata.name!=x"
