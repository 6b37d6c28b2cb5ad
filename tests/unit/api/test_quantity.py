"""Amounts: canonical texts, rounding and refusals as apimachinery has them."""

import pytest

from kube_actors.api.quantity import (
    BAD_FORMAT,
    BAD_SUFFIX,
    Quantity,
    QuantityError,
    canonical,
    from_milli,
    milli,
    parse,
    total,
    units,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0", "0"), ("1", "1"), ("1000m", "1"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("1000k", "1M"),
        ("1e6", "1e6"), ("0.1", "100m"), ("0.5", "500m"), ("1.5", "1500m"), ("100m", "100m"), ("0.5Mi", "512Ki"),
        ("1023Ki", "1023Ki"), ("512", "512"), ("0.5Ki", "512"), ("1Ki", "1Ki"), ("0.0001Ki", "102400u"),
        ("1e3", "1e3"), ("1000e3", "1e6"), ("12345e-3", "12345e-3"), ("1E", "1E"), ("0.1n", "1n"), ("1.1n", "2n"),
        ("-1.1n", "-2n"), ("-0.5", "-500m"), ("1000000", "1M"), ("123456", "123456"), ("9Ei", "9223372036854775807"),
        ("100000000000000000000", "100E"), ("1.500", "1.500"), ("+1", "+1"), ("0.100", "100m"), (".5", "500m"),
        ("1.", "1."), ("0Mi", "0"), ("2048", "2048"), ("1500Mi", "1500Mi"), ("1e-9", "1e-9"), ("-2048Ki", "-2Mi"),
    ],
)  # fmt: skip
def test_canonical(text, written):
    assert canonical(text) == written


def test_numbers_from_manifests():
    assert canonical(1) == "1"
    assert canonical(0.5) == "500m"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", BAD_FORMAT), ("abc", BAD_FORMAT), ("1.1.1", BAD_FORMAT), ("1 ", BAD_FORMAT), (" 1", BAD_FORMAT),
        ("1+1.0M", BAD_FORMAT), ("1mi", BAD_SUFFIX), ("1i", BAD_SUFFIX), ("1K", BAD_SUFFIX), ("1e", BAD_SUFFIX),
        ("1kk", BAD_SUFFIX), ("0.1am", BAD_FORMAT), ("١", BAD_FORMAT),
    ],
)  # fmt: skip
def test_refused(text, message):
    with pytest.raises(QuantityError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_rounding_is_away_from_zero():
    assert units("1m") == 1
    assert milli("1.0001") == 1001
    assert milli("-1.0001") == -1001
    assert units("1Gi") == 1 << 30


def test_arithmetic_keeps_the_family_of_the_first():
    assert str(parse("1Gi") + parse("1000")) == "1073742824"
    assert str(parse("0") + parse("1Gi")) == "1Gi"
    assert str(parse("1Gi") - parse("512Mi")) == "512Mi"
    assert str(parse("1") - parse("250m")) == "750m"
    assert str(parse("1Gi") * 3) == "3Gi"
    assert str(-parse("1")) == "-1"


def test_comparison_ignores_the_suffix():
    assert parse("1") == parse("1000m") and hash(parse("1")) == hash(parse("1000m"))
    assert parse("1Ki") > parse("1k")
    assert not parse("0Mi") and parse("1n") and parse("-1").sign == -1


def test_totals():
    assert total({"a": Quantity(1)}, {"a": Quantity(2), "b": from_milli(500)}) == {"a": parse("3"), "b": parse("500m")}
