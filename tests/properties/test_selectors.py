"""Laws of selectors and names."""

from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api import names, selectors

keys = st.sampled_from(["a", "b", "example.com/c", "in", "notin", "x.y"])
values = st.sampled_from(["", "1", "2", "v", "in"])
labels = st.dictionaries(keys, values)


@st.composite
def requirements(draw):
    key = draw(keys)
    operator = draw(st.sampled_from(["in", "notin", "=", "!=", "exists", "!"]))
    if operator in ("exists", "!"):
        return selectors.Requirement(key, operator)
    if operator in ("=", "!="):
        return selectors.Requirement(key, operator, (draw(values),))
    return selectors.Requirement(key, operator, tuple(sorted(draw(st.sets(values, min_size=1)))))


@given(st.lists(requirements()), labels)
def test_text_and_value_mean_the_same(found, given_labels):
    selector = selectors.Selector(tuple(found))
    again = selectors.parse(str(selector))
    assert again.matches(given_labels) == selector.matches(given_labels)
    assert selectors.parse(str(again)) == again


@given(labels, labels)
def test_labels_select_their_supersets(wanted, given_labels):
    assert selectors.from_labels(wanted).matches(given_labels) == (wanted.items() <= given_labels.items())


@given(st.text())
def test_any_text_is_parsed_or_refused(text):
    for parse in (selectors.parse, selectors.parse_fields):
        try:
            parse(text)
        except selectors.SelectorError as error:
            assert str(error)


@given(st.text(alphabet="ab,=\\!"))
def test_field_values_survive_their_escapes(value):
    selector = selectors.FieldSelector((selectors.FieldTerm("f", value),))
    assert selectors.parse_fields(str(selector)) == selector


@given(st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z"))
def test_labels_are_subdomains_and_label_values(name):
    assert not names.dns_label(name)
    assert not names.dns_subdomain(name)
    assert not names.label_value(name)
    assert not names.qualified_name(f"{name}/{name}")
