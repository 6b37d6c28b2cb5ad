"""Which names are lawful, and what is said of those that are not."""

import pytest

from kube_actors.api import names


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (names.dns_label, ["a", "a-b", "1a"], ["", "A", "a.b", "-a", "a" * 64]),
        (names.dns_subdomain, ["a", "a.b-c"], ["", "a..b", "a_b", "a" * 254]),
        (names.dns1035_label, ["a1"], ["1a", ""]),
        (names.wildcard_subdomain, ["*.a.b"], ["*.*.x", "a"]),
        (names.qualified_name, ["a", "A_b.c", "x.io/a"], ["", "a/b/c", "/a", "X.io/a", "_a", "a" * 64]),
        (names.label_value, ["", "a", "A-b"], ["a b", "-", "a" * 64, "é"]),
        (names.config_key, ["a.b", "_"], ["", ".", "..", "..a", "a/b"]),
        (names.env_name, ["A", "a b", "a.b"], ["", "a=b", "é", "a\n"]),
        (names.http_header, ["X-A"], ["a b", ""]),
        (names.percent, ["10%"], ["10", "%"]),
        (names.port_name, ["http", "a-1"], ["", "1", "-a", "a--b", "A", "a" * 16]),
        (names.path_segment, ["a:b", ""], [".", "..", "a/b", "a%"]),
        (names.c_identifier, ["a_1"], ["1a"]),
    ],
)
def test_rules(rule, good, bad):
    assert [name for name in good if rule(name)] == []
    assert [name for name in bad if not rule(name)] == []


def test_messages():
    assert names.dns_label("a.b") == ["must not contain dots"]
    assert names.dns_subdomain("a" * 254) == ["must be no more than 253 characters"]
    assert names.label_value("b" * 64) == ["must be no more than 63 bytes"]
    assert names.qualified_name("b" * 64) == ["name part must be no more than 63 bytes"]
    assert names.dns_label("C_1") == [
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    ]
    assert names.dns_subdomain("a_b") == [
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
        "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    ]


def test_generate_name():
    assert names.with_dashes_masked("web-", names.dns_label) == []
    assert names.with_dashes_masked("-", names.dns_label)
