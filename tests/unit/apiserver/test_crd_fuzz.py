"""Mutated definitions and objects: whatever is sent, the answer is a 2xx or a 4xx, never a failure of ours."""

from __future__ import annotations

import copy
import random
from typing import Any

from trio.testing import MockClock

from tests.kit.apiserver import running_apiserver
from tests.unit.apiserver.test_crd import SPEC, definition, establish, version, widget

JUNK: list[Any] = [
    None, True, 0, -1, 2**40, 1e300, -0.5, "", "x", "(", "self.x", "$", [], [1], {}, {"a": 1}, [[]], "v1", "object",
    "array",
    {"type": "array"}, {"type": "string", "default": 5}, {"x-kubernetes-validations": [{"rule": "self.all(x, x)"}]},
]  # fmt: skip
WORDS = [
    "type", "items", "properties", "default", "enum", "nullable", "anyOf", "not", "required", "pattern", "format",
    "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-embedded-resource",
    "additionalProperties", "maxItems", "multipleOf", "metadata", "spec", "status", "jsonPath", "scale", "rule",
]  # fmt: skip


def mutated(value: Any, dice: random.Random) -> Any:
    """A copy with one or two places changed, removed or added."""
    found = copy.deepcopy(value)
    for _ in range(dice.randint(1, 2)):
        at = found
        while isinstance(at, (dict, list)) and at:
            key = dice.choice(list(at)) if isinstance(at, dict) else dice.randrange(len(at))
            below = at[key]
            if not isinstance(below, (dict, list)) or not below or dice.random() < 0.2:
                _change(at, key, dice)
                break
            at = below
    return found


def _change(at: Any, key: Any, dice: random.Random) -> None:
    what = dice.random()
    if what < 0.6:
        at[key] = copy.deepcopy(dice.choice(JUNK))
    elif what < 0.8 and isinstance(at, dict):
        at[dice.choice(WORDS)] = copy.deepcopy(dice.choice(JUNK))
    else:
        del at[key]


async def test_mutated_definitions(autojump_clock: MockClock) -> None:
    dice = random.Random(1)
    rich = definition(
        version(
            subresources={"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.n"}},
            additionalPrinterColumns=[{"name": "a", "type": "string", "jsonPath": ".spec.mode"}],
            selectableFields=[{"jsonPath": ".spec.mode"}],
        ),
        version("v2", storage=False, deprecated=True, deprecationWarning="old"),
    )
    async with running_apiserver() as api:
        for _ in range(250):
            body = mutated(rich, dice)
            answer = await api.send("create", "crd", body=body, dry_run=("All",))
            assert answer.status < 500, (body, answer.body)


async def test_mutated_objects(autojump_clock: MockClock) -> None:
    dice = random.Random(2)
    scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.n"}
    whole = widget(size=5, mode="a", parts=[{"name": "p"}, {"name": "q"}], free={"a": [1]}, port="http")
    whole["metadata"]["labels"] = {"a": "b"}
    whole["status"] = {"n": 1}
    async with running_apiserver() as api:
        extra = {"n": {"type": "number", "multipleOf": 0.1}, "t": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}}  # fmt: skip # noqa: E501
        one = version(subresources={"status": {}, "scale": scale}, selectableFields=[{"jsonPath": ".spec.mode"}])
        one = copy.deepcopy(one)
        one["schema"]["openAPIV3Schema"]["properties"]["spec"] = {**SPEC, "properties": {**SPEC["properties"], **extra}}
        await establish(api, definition(one))
        whole["spec"] |= {"n": 0.3, "t": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}}
        await api.create(whole)
        for number in range(250):
            body = mutated(whole, dice)
            verb = ("create", "update", "patch")[number % 3]
            more: dict[str, Any] = {"content_type": "application/merge-patch+json"} if verb == "patch" else {}
            name = "" if verb == "create" else "w"
            answer = await api.send(verb, "example.com/v1/Widget", "", name, body=body, dry_run=("All",), **more)  # type: ignore[arg-type]
            assert answer.status < 500, (verb, body, answer.body)
