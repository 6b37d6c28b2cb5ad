"""CEL as Kubernetes speaks it: values, errors, types and texts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors import cel
from kube_actors.cel import types

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer"},
        "ratio": {"type": "number"},
        "name": {"type": "string", "maxLength": 10},
        "when": {"type": "string", "format": "date-time"},
        "span": {"type": "string", "format": "duration"},
        "port": {"x-kubernetes-int-or-string": True},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "my-field": {"type": "integer"},
        "namespace": {"type": "string"},
    },
}
SELF = {
    "replicas": 3,
    "ratio": 1,
    "name": "web",
    "when": "2024-02-29T10:00:00Z",
    "span": "90s",
    "port": 80,
    "tags": ["a", "b"],
    "labels": {"x": "1"},
    "my-field": 7,
    "namespace": "ns",
}


@pytest.fixture(scope="module")
def env() -> cel.Environment:
    return cel.Environment({"self": cel.schemas.of_structural(SCHEMA, "selfType"), "dyn_": types.DYN})


TRUE = """
self.replicas == 3 && self.name.startsWith('w')
self.ratio / 2.0 == 0.5
self.when.getFullYear() == 2024 && self.when < timestamp('2025-01-01T00:00:00Z')
self.span == duration('1m30s') && self.span.getMinutes() == 1
type(self.port) == int && self.port == 80
self.tags == ['b', 'a']
self.tags + ['b', 'c'] == ['a', 'b', 'c']
self.labels.x == '1' && 'x' in self.labels && !('y' in self.labels)
has(self.labels.x) && !has(self.labels.y) && self.labels.?y.orValue('d') == 'd'
self.my__dash__field == 7 && self.__namespace__ == 'ns'
self.labels.all(k, k.size() == 1) && self.tags.exists(t, t == 'b') && self.tags.exists_one(t, t == 'a')
[1, 2, 3].map(x, x * 2) == [2, 4, 6] && [1, 2, 3].filter(x, x > 1) == [2, 3] && [1, 2].map(x, x > 1, x) == [2]
{'a': 1, 'b': 2}.all(k, v, k != '' && v > 0) && [5, 6].exists(i, v, i == 1 && v == 6)
{'a': 1}.transformMap(k, v, v + 1) == {'a': 2} && [1, 2].transformList(i, v, i + v) == [1, 3]
{'a': 1}.transformMapEntry(k, v, {v: k}) == {1: 'a'}
cel.bind(x, 2 + 2, x * x) == 16
[1, 2, 3].sum() == 6 && [3, 1].min() == 1 && [3, 1].max() == 3
[1, 2].isSorted() && ['a', 'b', 'a'].lastIndexOf('a') == 2
'abc 123'.find('[0-9]+') == '123' && 'a1b2'.findAll('[0-9]') == ['1', '2'] && 'abc'.matches('^a.c$')
url('https://h:80/p?q=1').getHostname() == 'h' && url('https://h:80/p?q=1').getPort() == '80' && !isURL('x y')
quantity('1Gi').isGreaterThan(quantity('500Mi')) && quantity('1500m').add(1).compareTo(quantity('2.5')) == 0
ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.2.3') && ip.isCanonical('::1') && !isIP('1.2.3')
cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && string(cidr('10.1.2.3/8').masked()) == '10.0.0.0/8'
sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && sets.intersects([1], [1, 2])
'%s is %d, %.2f, %x'.format(['a', 5, 1.5, 255]) == 'a is 5, 1.50, ff'
'Hello'.lowerAscii() == 'hello' && 'a,b'.split(',') == ['a', 'b']
['a', 'b'].join('-') == 'a-b' && ' x '.trim() == 'x'
'abc'.charAt(1) == 'b' && 'abcd'.substring(1, 3) == 'bc'
'aXbX'.replace('X', 'y', 1) == 'aybX' && 'abc'.indexOf('c') == 2
optional.of(1).hasValue() && !optional.none().hasValue() && optional.of(2).optMap(x, x + 1).value() == 3
[?optional.of(1), ?optional.none(), 3] == [1, 3] && {?'a': optional.none(), 'b': 2} == {'b': 2}
[1][?3].orValue(9) == 9
format.dns1123Label().validate('Bad_').hasValue() && !format.named('uuid').value().validate('x').hasValue() == false
semver('1.2.3').isLessThan(semver('1.10.0'))
isSemver('v1.0', true) && semver('1.0.0-rc.1').isLessThan(semver('1.0.0'))
true || 1 / 0 > 1
(1 / 0 > 1 || true) && !(false && 1 / 0 > 1)
dyn(1) == 1.0 && dyn(1) == dyn(1u) && dyn(1) != dyn('1') && dyn(true) != dyn(1)
-7 / 2 == -3 && -7 % 2 == -1 && 7u / 2u == 3u && 0x1F == 31
int('12') == 12 && string(1.5) == '1.5' && double('1e3') == 1000.0 && bytes('é').size() == 2 && string(true) == 'true'
type(1) == int && type('') == string && type([]) == list
b'\\x41' == b'A' && r'\\d' == '\\\\d' && '''a
b'''.size() == 3
jsonpatch.escapeKey('a/b~c') == 'a~1b~0c'
timestamp('2024-01-01T00:00:00Z') + duration('24h') == timestamp('2024-01-02T00:00:00Z')
timestamp('2024-01-01T00:00:00Z').getDayOfWeek() == 1 && timestamp('2024-01-01T00:00:00Z').getHours('+02:00') == 2
dyn_.a.b.c == 5 && dyn_['a']['b'].c == 5 && has(dyn_.a.b) && dyn_.l[0] == 1
""".replace("'''a\nb'''", "'''a\\nb'''").strip()


@pytest.mark.parametrize("expression", TRUE.splitlines())
def test_true_of_these_values(env: cel.Environment, expression: str) -> None:
    program = env.compile(expression, expected=types.BOOL)
    assert program.evaluate({"self": SELF, "dyn_": {"a": {"b": {"c": 5}}, "l": [1]}}) is True


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("self.labels.y == '1'", "no such key: y"),
        ("1 / 0 == 1", "division by zero"),
        ("[1][5] == 1", "index out of bounds: 5"),
        ("9223372036854775807 + 1 > 0", "integer overflow"),
        ("dyn_.x.y == 1", "no such key: x"),
        ("int('x') == 1", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("dyn('a') + 1 == 2", "no such overload"),
        ("dyn_ && true", "no such overload"),
        ("optional.none().value() == 1", "optional.none() dereference"),
        ("'('.matches('(')", "error parsing regexp"),
    ],
)
def test_fails_when_it_runs(env: cel.Environment, expression: str, message: str) -> None:
    with pytest.raises(cel.EvaluationError, match=f"^{re.escape(message)}"):
        env.compile(expression).evaluate({"self": SELF, "dyn_": {}})


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "self.x",
            "ERROR: <input>:1:5: undefined field 'x'\n | self.x\n | ....^",
        ),
        ("nope + 1", "ERROR: <input>:1:1: undeclared reference to 'nope' (in container '')\n | nope + 1\n | ^"),
        (
            "1 + 'a'",
            "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'\n | 1 + 'a'\n | ..^",
        ),
        (
            "self.name.startsWith(1)",
            "ERROR: <input>:1:21: found no matching overload for 'startsWith' applied to 'string.(int)'\n"
            " | self.name.startsWith(1)\n | ....................^",
        ),
        (
            "self.replicas.all(x, true)",
            "ERROR: <input>:1:5: expression of type 'int' cannot be range of a comprehension "
            "(must be list, map, or dynamic)\n | self.replicas.all(x, true)\n | ....^",
        ),
        (
            "self.replicas +",
            "ERROR: <input>:1:16: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', "
            "'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n"
            " | self.replicas +\n | ...............^",
        ),
        (
            "self.name.x",
            "ERROR: <input>:1:10: type 'string' does not support field selection\n | self.name.x\n | .........^",
        ),
    ],
)
def test_compile_errors_point_at_their_place(env: cel.Environment, expression: str, message: str) -> None:
    with pytest.raises(cel.CompileError) as caught:
        env.compile(expression)
    assert str(caught.value) == message


def test_result_types_are_asked_for(env: cel.Environment) -> None:
    with pytest.raises(cel.CompileError, match="must evaluate to bool"):
        env.compile("self.name", expected=types.BOOL)
    assert str(env.compile("[self.name]").result_type) == "list(string)"


def test_the_budget_ends_an_evaluation(env: cel.Environment) -> None:
    program = env.compile("dyn_.all(x, dyn_.all(y, x == y || true))")
    with pytest.raises(cel.BudgetError, match="actual cost limit exceeded"):
        program.evaluate({"dyn_": list(range(1000))}, budget=10_000)


def test_estimates_grow_with_the_sizes_that_the_schema_allows() -> None:
    def high(limit: int | None) -> int:
        schema: dict[str, Any] = {"type": "array", "items": {"type": "string", "maxLength": 10}}
        if limit is not None:
            schema["maxItems"] = limit
        env = cel.Environment({"self": cel.schemas.of_structural(schema, "t")})
        return env.compile("self.all(x, self.exists(y, x == y))").estimate().high

    assert high(10) < high(100) < cel.STATIC_LIMIT < high(None)


def test_typed_literals_of_a_kind() -> None:
    root = cel.schemas.of_kind("apps", "v1", "Deployment", "Object")
    env = cel.Environment({"object": root}, cel.schemas.Structs(root))
    program = env.compile("Object{spec: Object.spec{replicas: object.spec.replicas + 1}}", expected=root)
    assert program.evaluate({"object": {"spec": {"replicas": 1}}}) == {"spec": {"replicas": 2}}
    nested = (
        "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: ["
        "Object.spec.template.spec.containers{name: 'x'}]}}}}"
    )
    assert env.compile(nested).evaluate({})["spec"]["template"]["spec"]["containers"] == [{"name": "x"}]
    with pytest.raises(cel.CompileError, match="undefined field 'nope'"):
        env.compile("Object{spec: Object.spec{nope: 1}}")
    with pytest.raises(
        cel.CompileError, match="expected type of field 'replicas' is 'int' but provided type is 'string'"
    ):
        env.compile("Object{spec: Object.spec{replicas: 'a'}}")


def test_the_authorizer_is_asked() -> None:
    asked: list[cel.Question] = []

    def decide(question: cel.Question) -> cel.Answer:
        asked.append(question)
        return cel.Answer(allowed=question.verb == "get", reason="why")

    env = cel.Environment({"authorizer": types.opaque(cel.Authorizer.cel_type)})
    program = env.compile(
        "authorizer.group('apps').resource('deployments').namespace('n').name('d').check('get').allowed() && "
        "!authorizer.path('/x').check('list').allowed()"
    )
    assert program.evaluate({"authorizer": cel.Authorizer(decide)}) is True
    assert [(q.group, q.resource, q.namespace, q.name, q.path, q.verb) for q in asked] == [
        ("apps", "deployments", "n", "d", "", "get"),
        ("", "", "", "", "/x", "list"),
    ]


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet="self.ab()[]{}!&|<>=+-*/%?:,'\"01 \\n`_xin", max_size=40))
def test_any_text_compiles_or_says_why(text: str) -> None:
    env = cel.Environment({"self": types.DYN, "a": types.INT})
    try:
        program = env.compile(text)
    except cel.CompileError as error:
        assert str(error).startswith("ERROR: <input>:")
        return
    try:
        program.evaluate({"self": {"a": [1]}, "a": 1}, budget=5000)
    except cel.EvaluationError:
        pass


@settings(max_examples=50, deadline=None)
@given(st.integers(-50, 50), st.integers(-50, 50), st.booleans())
def test_arithmetic_agrees_with_go(a: int, b: int, flag: bool) -> None:
    env = cel.Environment({"a": types.INT, "b": types.INT, "f": types.BOOL})
    values = {"a": a, "b": b, "f": flag}
    assert env.compile("a + b * 2 - a").evaluate(values) == 2 * b
    assert env.compile("f ? a : b").evaluate(values) == (a if flag else b)
    if b:
        assert env.compile("(a / b) * b + a % b").evaluate(values) == a
        assert env.compile("a % b").evaluate(values) * a >= 0


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    env = cel.Environment({})
    for text in ("(" * 5000, "[" * 200 + "]" * 200, "!" * 3000 + "true", "1" + "+1" * 3000, "a" + ".b" * 4000):
        try:
            env.compile(text)
        except cel.CompileError as error:
            assert "ERROR" in str(error)
