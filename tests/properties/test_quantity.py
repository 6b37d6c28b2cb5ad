"""Laws of amounts."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api.quantity import Quantity, parse

numbers = st.integers(-(10**12), 10**12)
suffixes = st.sampled_from(["", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-3", "E2"])
texts = st.builds("{}{}".format, numbers, suffixes)
fractions = st.builds("{}.{}{}".format, st.integers(-1000, 1000), st.integers(0, 10**6), suffixes)


@given(texts | fractions)
def test_writing_and_reading_again_changes_nothing(text):
    amount = parse(text)
    again = parse(str(amount))
    assert again == amount
    assert str(again) == str(amount)


@given(texts, texts)
def test_sums_are_exact(left, right):
    a, b = parse(left), parse(right)
    assert (a + b).amount == a.amount + b.amount
    assert a + b == b + a
    assert (a + b) - b == a


@given(texts | fractions)
def test_rounding_never_loses_anything(text):
    amount = parse(text)
    assert abs(amount.value()) >= abs(amount.amount) > abs(amount.value()) - 1 or amount.value() == 0
    assert abs(amount.milli_value()) * Decimal("0.001") >= abs(amount.amount)


@given(st.lists(texts, min_size=1))
def test_order_is_the_order_of_the_numbers(all_texts):
    amounts = sorted(map(parse, all_texts))
    assert [q.amount for q in amounts] == sorted(parse(t).amount for t in all_texts)


@given(numbers)
def test_whole_numbers(number):
    assert Quantity(number).value() == number
    assert parse(str(number)).milli_value() == number * 1000
