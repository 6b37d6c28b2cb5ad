"""Validation rules in CEL: x-kubernetes-validations, compiled once a schema and run on every write.

Owns which rules run when (transition rules only where there is something to compare with), the budget they share, and
the words for what they find. Compiling for the definition's own validation is here as well, so that both agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kube_actors import cel
from kube_actors.api import field_errors as fields
from kube_actors.api.field_errors import NO_FIELD, OMITTED, FieldError
from kube_actors.apiserver.custom.values import MISSING, correlate, same, type_of

Schema = Mapping[str, Any]
RULES: Final = "x-kubernetes-validations"

BUDGET: Final = 10_000_000
"""What all rules of one object may cost together."""
_OUT_OF_BUDGET: Final = "validation failed due to running out of cost budget, no further validation rules will be run"


class Rule:
    """One compiled rule."""

    __slots__ = ("message", "message_program", "optional_old", "path", "program", "reason", "text", "transition")

    def __init__(self, raw: Schema, env: cel.Environment) -> None:
        self.text: str = raw.get("rule", "")
        self.program = env.compile(self.text, expected=cel.types.BOOL)
        self.message: str = (raw.get("message") or "").strip()
        expression = raw.get("messageExpression") or ""
        self.message_program = env.compile(expression, expected=cel.types.STRING) if expression else None
        self.reason: str = raw.get("reason") or fields.INVALID
        self.path: str = raw.get("fieldPath") or ""
        self.optional_old = bool(raw.get("optionalOldSelf"))
        self.transition = self.optional_old or "oldSelf" in self.program.names()

    def name(self) -> str:
        """What errors of the rule itself call it."""
        return self.message or self.text.strip()


class Rules:
    """The rules of a schema and of all below it."""

    __slots__ = ("items", "own", "properties", "values")

    def __init__(self, schema: Schema, name: str = "self", root: bool = True) -> None:
        self.own: list[Rule] = []
        if schema.get(RULES):
            envs = environments(schema, name, root)
            self.own = [Rule(raw, envs[bool(raw.get("optionalOldSelf"))]) for raw in schema[RULES]]
        self.properties = {
            key: below
            for key, inner in (schema.get("properties") or {}).items()
            if (below := Rules(inner, f"{name}.{key}", False))
        }
        self.items = _inner(schema.get("items"), f"{name}.@idx")
        self.values = _inner(schema.get("additionalProperties"), f"{name}.@elem")

    def __bool__(self) -> bool:
        return bool(self.own or self.properties or self.items or self.values)


def _inner(schema: Any, name: str) -> Rules | None:
    found = Rules(schema, name, False) if isinstance(schema, Mapping) else None
    return found or None


def environments(schema: Schema, name: str, root: bool) -> dict[bool, cel.Environment]:
    """Environments of rules on this schema, by whether oldSelf is optional."""
    kind = cel.schemas.of_structural(schema, name, root)
    return {
        optional: cel.Environment({"self": kind, "oldSelf": cel.types.optional_of(kind) if optional else kind})
        for optional in (False, True)
    }


class Evaluation:
    """One run over one object."""

    def __init__(self) -> None:
        self.left = BUDGET
        self.problems: list[FieldError] = []

    def run(self, rules: Rules, schema: Schema, value: Any, old: Any, path: str) -> bool:
        """Whether to go on: not when the budget is gone."""
        if value is None:
            return True
        unchanged = old is not MISSING and same(value, old)
        for rule in rules.own:
            if rule.transition and old is MISSING and not rule.optional_old:
                continue
            if unchanged and not rule.transition:
                continue
            if not self._one(rule, value, old, path):
                return False
        return all(self.run(*below) for below in _below(rules, schema, value, old, path))

    def _one(self, rule: Rule, value: Any, old: Any, path: str) -> bool:
        values = {"self": value}
        if rule.optional_old:
            values["oldSelf"] = cel.Optional(present=False) if old is MISSING else cel.Optional(old)
        elif old is not MISSING:
            values["oldSelf"] = old
        where = path or NO_FIELD
        try:
            passed, spent = rule.program.evaluate_costed(values, min(cel.PER_CALL_LIMIT, self.left))
        except cel.BudgetError as error:
            if self.left < cel.PER_CALL_LIMIT:
                self.problems.append(fields.invalid(where, type_of(value), _OUT_OF_BUDGET))
                return False
            text = f"'{error}': no further validation rules will be run due to call cost exceeds limit for rule: "
            self.problems.append(fields.invalid(where, type_of(value), text + rule.name()))
            return False
        except cel.EvaluationError as error:
            self.problems.append(fields.invalid(where, type_of(value), _failure(error, rule)))
            return True
        self.left -= spent
        if passed is not True:
            self.problems.append(self._refusal(rule, value, values, path))
        return True

    def _refusal(self, rule: Rule, value: Any, values: dict[str, Any], path: str) -> FieldError:
        detail = self._expressed(rule, values) or rule.message or f"failed rule: {rule.text.strip()}"
        where = f"{path}{rule.path}" if rule.path else path
        where = where.lstrip(".") if not path else where
        shown = value if not isinstance(value, (dict, list)) else OMITTED
        if rule.reason == fields.REQUIRED:
            return fields.required(where or NO_FIELD, detail)
        if rule.reason == fields.FORBIDDEN:
            return fields.forbidden(where or NO_FIELD, detail)
        if rule.reason == fields.DUPLICATE:
            return fields.duplicate(where or NO_FIELD, shown, detail)
        return fields.invalid(where or NO_FIELD, shown, detail)

    def _expressed(self, rule: Rule, values: dict[str, Any]) -> str:
        """What the message expression says, "" when it says nothing fit to show."""
        if rule.message_program is None:
            return ""
        try:
            text, spent = rule.message_program.evaluate_costed(values, min(cel.PER_CALL_LIMIT, max(self.left, 1)))
        except cel.EvaluationError:
            return ""
        self.left -= spent
        text = text.strip() if isinstance(text, str) else ""
        return "" if "\n" in text or len(text) > _MESSAGE_LIMIT else text


_MESSAGE_LIMIT: Final = 5 * 1024


def _failure(error: cel.EvaluationError, rule: Rule) -> str:
    text = str(error)
    if text.startswith("no such overload"):
        how = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{text}': {how}: {rule.name()}"
    return f"{text} evaluating rule: {rule.name()}"


def _below(
    rules: Rules, schema: Schema, value: Any, old: Any, path: str
) -> Iterator[tuple[Rules, Schema, Any, Any, str]]:
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        properties = schema.get("properties") or {}
        for key, inner in rules.properties.items():
            if key in value:
                below = f"{path}.{key}" if path else key
                yield inner, properties[key], value[key], before.get(key, MISSING), below
        if rules.values is not None:
            for key, item in value.items():
                if key not in properties:
                    yield rules.values, schema["additionalProperties"], item, before.get(key, MISSING), f"{path}[{key}]"
    elif isinstance(value, list) and rules.items is not None:
        earlier = correlate(value, old, schema)
        for at, item in enumerate(value):
            yield rules.items, schema["items"], item, earlier(at), f"{path}[{at}]"


def check(rules: Rules, schema: Schema, value: Any, old: Any = MISSING) -> list[FieldError]:
    """What the rules have against the object."""
    evaluation = Evaluation()
    evaluation.run(rules, schema, value, old, "")
    return evaluation.problems
