"""Expressions of admission policies are compared with the schemas of what they will meet."""

from __future__ import annotations

from typing import Any

from .conftest import running


def policy(name: str, *expressions: str, **spec: Any) -> dict[str, Any]:
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": text} for text in expressions],
            **spec,
        },
    }


async def test_a_policys_status_says_what_does_not_fit(autojump_clock: Any) -> None:
    async with running() as world:
        await world.api.create(policy("good", "object.spec.replicas <= 5", "object.metadata.name != 'x'"))
        await world.api.create(
            policy(
                "bad",
                'object.spec.replicas > "x"',
                "object.spec.nope == 1",
                "variables.image.startsWith('i')",
                variables=[{"name": "image", "expression": "object.spec.template.spec.containers[0].image"}],
            )
        )

        async def checked() -> bool:
            found = [await world.api.get("ValidatingAdmissionPolicy", name) for name in ("good", "bad")]
            return all((one.get("status") or {}).get("observedGeneration") == 1 for one in found)

        await world.until(checked)
        good = await world.api.get("ValidatingAdmissionPolicy", "good")
        assert good["status"]["typeChecking"] == {}
        bad = await world.api.get("ValidatingAdmissionPolicy", "bad")
        assert bad["status"]["typeChecking"]["expressionWarnings"] == [
            {
                "fieldRef": "spec.validations[0].expression",
                "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' "
                "applied to '(int, string)'\n | object.spec.replicas > \"x\"\n | .....................^\n",
            },
            {
                "fieldRef": "spec.validations[1].expression",
                "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'nope'\n"
                " | object.spec.nope == 1\n | ...........^\n",
            },
        ]
