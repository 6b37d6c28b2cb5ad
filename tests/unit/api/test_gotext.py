"""Go's wording."""

import pytest

from kube_actors.api import gotext


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "unexpected end of JSON input"),
        (b"{", "unexpected end of JSON input"),
        (b'{"a"', "unexpected end of JSON input"),
        (b'"abc', "unexpected end of JSON input"),
        (b"junk", "invalid character 'j' looking for beginning of value"),
        (b"NaN", "invalid character 'N' looking for beginning of value"),
        (b"{a", "invalid character 'a' looking for beginning of object key string"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"{} x", "invalid character 'x' after top-level value"),
        (b"{}", ""),
    ],
)
def test_syntax_errors(data, message):
    assert gotext.syntax_error(data) == message


def test_values():
    assert gotext.value_text({"b": [1, "x", None], "a": True}) == "map[a:true b:[1 x <nil>]]"
    assert gotext.cannot_unmarshal(5, "string") == "json: cannot unmarshal number into Go value of type string"
