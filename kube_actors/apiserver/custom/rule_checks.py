"""Whether a schema's CEL rules compile and are cheap enough.

Owns the words of compile errors and of exceeded cost limits, per rule and for the whole schema, with a rule's cost
multiplied by how often the lists and maps around it may make it run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from kube_actors import cel
from kube_actors.api import field_errors as fields
from kube_actors.api.field_errors import FieldError
from kube_actors.apiserver.custom.rules import RULES, environments

Schema = Mapping[str, Any]

RULE_LIMIT: Final = 10_000_000
SCHEMA_LIMIT: Final = 100_000_000
_REASONS: Final = ("FieldValueRequired", "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate")
_TRY: Final = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)


def check(schema: Schema, path: str) -> list[FieldError]:
    """What is wrong with the rules."""
    checked = _Check()
    checked.walk(schema, path, "selfType", True, 1)
    problems = checked.problems
    if checked.total > SCHEMA_LIMIT:
        for where, cost in checked.expensive:
            if cost * 100 >= checked.total:
                text = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
                problems.append(fields.forbidden(where, text))
        factor = _factor(checked.total, SCHEMA_LIMIT)
        text = (
            f"x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by {factor}"
        )
        problems.append(fields.forbidden(path, f"{text} {_TRY}"))
    return problems


def _factor(cost: int, limit: int) -> str:
    ratio = cost / limit
    return "factor of more than 100x" if ratio > 100 else f"factor of {ratio:.1f}x"


class _Check:
    def __init__(self) -> None:
        self.problems: list[FieldError] = []
        self.expensive: list[tuple[str, int]] = []
        self.total = 0

    def walk(self, schema: Schema, path: str, name: str, root: bool, times: int) -> None:
        """times is how often a value of this schema may stand in one object."""
        rules = schema.get(RULES) or ()
        if rules:
            envs = environments(schema, name, root)
            for at, rule in enumerate(rules):
                self.rule(rule, schema, envs, f"{path}.{RULES}[{at}]", times)
        for key, inner in (schema.get("properties") or {}).items():
            self.walk(inner, f"{path}.properties[{key}]", f"{name}.{key}", False, times)
        for key, suffix, limit in (("items", "@idx", "maxItems"), ("additionalProperties", "@elem", "maxProperties")):
            inner = schema.get(key)
            if isinstance(inner, Mapping):
                kind = cel.schemas.of_structural(schema, name)
                count = schema.get(limit) or kind.limits or 1
                self.walk(inner, f"{path}.{key}", f"{name}.{suffix}", False, times * max(count, 1))

    def rule(self, rule: Schema, schema: Schema, envs: dict[bool, cel.Environment], path: str, times: int) -> None:
        text = rule.get("rule", "")
        if not text.strip():
            self.problems.append(fields.required(f"{path}.rule", "rule is not specified"))
            return
        reason = rule.get("reason")
        if reason and reason not in _REASONS:
            self.problems.append(fields.not_supported(f"{path}.reason", reason, _REASONS))
        self.problems += _message(rule, path)
        self.problems += _field_path(rule, schema, path)
        env = envs[bool(rule.get("optionalOldSelf"))]
        program = self.compiled(
            env, text, rule, f"{path}.rule", cel.types.BOOL, "cel expression must evaluate to a bool", ""
        )
        if program is not None:
            self.price(program, f"{path}.rule", times)
        expression = rule.get("messageExpression") or ""
        if expression:
            lead = "messageExpression "
            wrong = "messageExpression must evaluate to a string"
            where = f"{path}.messageExpression"
            found = self.compiled(env, expression, rule, where, cel.types.STRING, wrong, lead)
            if found is not None:
                self.price(found, where, times)

    def compiled(
        self, env: cel.Environment, text: str, rule: Schema, where: str, kind: cel.Type, wrong: str, lead: str
    ) -> cel.Program | None:
        try:
            program = env.compile(text)
        except cel.CompileError as error:
            self.problems.append(fields.invalid(where, _shown(rule), f"{lead}compilation failed: {error}"))
            return None
        if not cel.types.assignable(kind, program.result_type, {}):
            self.problems.append(fields.invalid(where, _shown(rule), wrong))
            return None
        return program

    def price(self, program: cel.Program, where: str, times: int) -> None:
        cost = min(program.estimate().high * times, (1 << 64) - 1)
        self.total = min(self.total + cost, (1 << 64) - 1)
        if cost > RULE_LIMIT:
            what = "messageExpression" if where.endswith("messageExpression") else "rule"
            text = f"estimated {what} cost exceeds budget by {_factor(cost, RULE_LIMIT)} {_TRY}"
            self.problems.append(fields.forbidden(where, text))
        self.expensive.append((where, cost))


def _shown(rule: Schema) -> Any:
    """A rule as Go prints it."""
    return msgspec.Raw(
        fields.go_json(
            msgspec.Raw(
                msgspec.json.encode(
                    {
                        "Rule": rule.get("rule", ""),
                        "Message": rule.get("message", ""),
                        "MessageExpression": rule.get("messageExpression", ""),
                        "Reason": rule.get("reason"),
                        "FieldPath": rule.get("fieldPath", ""),
                        "OptionalOldSelf": rule.get("optionalOldSelf"),
                    }
                )
            )
        ).encode()
    )


def _message(rule: Schema, path: str) -> Iterator[FieldError]:
    message = rule.get("message") or ""
    if message and not message.strip():
        yield fields.invalid(f"{path}.message", message, "message must be non-empty if specified")
    elif "\n" in message.strip():
        yield fields.invalid(f"{path}.message", message, "message must not contain line breaks")
    elif "\n" in rule.get("rule", "").strip() and not message:
        yield fields.required(f"{path}.message", "message must be specified if rule contains line breaks")
    expression = rule.get("messageExpression")
    if expression and not expression.strip():
        yield fields.required(f"{path}.messageExpression", "messageExpression must be non-empty if specified")


def _field_path(rule: Schema, schema: Schema, path: str) -> Iterator[FieldError]:
    text = rule.get("fieldPath") or ""
    if not text:
        return
    where = f"{path}.fieldPath"
    if not text.strip():
        yield fields.invalid(where, text, "fieldPath must be non-empty if specified")
        return
    if "\n" in text:
        yield fields.invalid(where, text, "fieldPath must not contain line breaks")
        return
    at: Any = schema
    for part in text.lstrip(".").replace("['", ".").replace("']", "").split("."):
        at = (at.get("properties") or {}).get(part, at.get("additionalProperties")) if isinstance(at, Mapping) else None
    if not text.startswith((".", "[")):
        yield fields.invalid(where, text, f"fieldPath must be a valid path: expected [ or . but got: {text}")
    elif not isinstance(at, Mapping):
        yield fields.invalid(where, text, "fieldPath must be a valid path: does not refer to a valid field")
