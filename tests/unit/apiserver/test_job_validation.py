"""What is refused of a Job's spec beyond what the recordings show. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from kube_actors.apiserver.strategies.job_validation import cron_job, job_spec

INDEXED = {"completionMode": "Indexed", "completions": 4, "parallelism": 2}


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"maxFailedIndexes": 1}, "spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"),
        (
            INDEXED | {"backoffLimitPerIndex": 1, "maxFailedIndexes": 5},
            "spec.maxFailedIndexes",
            "than or equal to compl",
        ),
        (INDEXED | {"parallelism": 100_001}, "spec.parallelism", "100000 when completion mode is Indexed"),
        (
            INDEXED | {"completions": 200_000, "backoffLimitPerIndex": 1},
            "spec.maxFailedIndexes",
            "must be specified when completions is above 100000",
        ),
        ({"managedBy": "plain"}, "spec.managedBy", "domain-prefixed path"),
        ({"managedBy": "Ö/x"}, "spec.managedBy", "RFC 1123 subdomain"),
        ({"podReplacementPolicy": "Never"}, "spec.podReplacementPolicy", "Unsupported value"),
        (
            {"podFailurePolicy": {"rules": [{"action": "FailIndex", "onPodConditions": [{"type": "x y"}]}]}},
            "spec.podFailurePolicy.rules[0].action",
            "requires the backoffLimitPerIndex to be set",
        ),
        (
            INDEXED | {"successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 3}]}},
            "spec.successPolicy.rules[0].succeededCount",
            "2 (the number of indexes in the specified succeededIndexes field)",
        ),
        (
            INDEXED | {"successPolicy": {"rules": [{"succeededCount": 5}]}},
            "spec.successPolicy.rules[0].succeededCount",
            "4 (the number of specified completions)",
        ),
    ],
)
def test_what_is_refused(spec: dict[str, Any], field: str, text: str) -> None:
    found = job_spec({"template": {"spec": {"restartPolicy": "Never"}}} | spec, "spec", selector=False)
    assert any(error.field == field and text in error.body for error in found), list(map(str, found))


def test_a_cron_job_keeps_what_it_has() -> None:
    spec = {"schedule": "TZ=UTC 0 0 * * *", "concurrencyPolicy": "Allow", "timeZone": "No/Where"}
    old = {"metadata": {"name": "c" * 60}, "spec": {"jobTemplate": {"spec": {"template": {}}}} | spec}

    def fields(before: dict[str, Any] | None) -> set[str]:
        found = {error.field for error in cron_job(old, before)}
        return {field for field in found if not field.startswith("spec.jobTemplate")}

    assert fields(None) == {"metadata.name", "spec.schedule", "spec.timeZone"}
    assert fields(old) == {"spec.schedule"}
