"""The audit log: what a policy has written down, and what not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from kube_actors.api.messages import UserInfo
from kube_actors.apiserver.access.attributes import Attributes
from kube_actors.apiserver.access.audit import Audit, PolicyError, read_policy
from tests.kit.https import ADMIN_TOKEN, https_apiserver


def policy(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"kind": "Policy", "apiVersion": "audit.k8s.io/v1", "rules": list(rules), **more}


def asked(name: str = "alice", verb: str = "get", **more: str) -> Attributes:
    return Attributes(user=UserInfo(name=name, groups=("dev",)), verb=verb, **more)


@pytest.mark.parametrize(
    ("rule", "question", "matches"),
    [
        ({}, asked(resource="pods"), True),
        ({"users": ["bob"]}, asked(resource="pods"), False),
        ({"userGroups": ["dev"], "verbs": ["get"]}, asked(resource="pods"), True),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, asked(resource="pods", subresource="log"), False),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, asked(resource="pods", subresource="log"), True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, asked(resource="pods"), False),
        ({"resources": [{"group": "apps"}]}, asked(group="apps", resource="deployments"), True),
        ({"namespaces": ["x"]}, asked(resource="pods", namespace="y"), False),
        ({"nonResourceURLs": ["/health*"]}, asked(path="/healthz"), True),
        ({"nonResourceURLs": ["/health*"]}, asked(resource="pods"), False),
    ],
)
def test_which_rule_is_which_requests(rule: dict[str, Any], question: Attributes, matches: bool) -> None:
    assert read_policy(policy({"level": "Metadata", **rule})).rules[0].matches(question) is matches


@pytest.mark.parametrize("bad", [policy(), policy({"level": "Everything"}), {"kind": "Other"}, policy({"lvl": "None"})])
def test_a_policy_that_cannot_be_meant_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        read_policy(bad)


async def test_requests_are_written_down_as_the_policy_says(tmp_path: Path) -> None:
    rules = (
        {"level": "None", "nonResourceURLs": ["/healthz"]},
        {"level": "RequestResponse", "resources": [{"group": "", "resources": ["configmaps"]}]},
        {"level": "Metadata"},
    )
    log = tmp_path / "logs" / "audit.log"
    async with https_apiserver(tmp_path) as api:
        now = api.server.system.clock.now
        api.server.core.access.audit = Audit(
            read_policy(policy(*rules, omitStages=["RequestReceived"])), log, now, lambda problem: None
        )
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        async with httpx.AsyncClient(base_url=api.url, verify=False, headers=headers) as client:
            await client.get("/healthz")
            await client.get("/version")
            body = {"metadata": {"name": "c"}, "data": {"k": "v"}}
            await client.post("/api/v1/namespaces/default/configmaps", json=body)
            await client.get("/api/v1/namespaces/default/secrets/x", headers={"Impersonate-User": "bob"})
        api.server.core.access.audit.close()
    events = [json.loads(line) for line in await trio.to_thread.run_sync(lambda: log.read_text().splitlines())]
    assert [event["stage"] for event in events] == ["ResponseComplete"] * 3
    version, made, refused = events
    assert (version["level"], version["verb"], version["requestURI"]) == ("Metadata", "get", "/version")
    assert "requestObject" not in version and version["user"]["username"] == "admin"
    assert made["requestObject"]["data"] == {"k": "v"} and made["responseObject"]["metadata"]["uid"]
    assert made["objectRef"] == {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"}
    assert made["responseStatus"] == {"metadata": {}, "code": 201}
    assert refused["impersonatedUser"]["username"] == "bob" and refused["user"]["username"] == "admin"
    assert refused["responseStatus"]["code"] == 403 and refused["responseStatus"]["reason"] == "Forbidden"
    assert refused["annotations"] == {"authorization.k8s.io/decision": "forbid"}


async def test_admission_adds_its_notes(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    rule = {"level": "Metadata", "verbs": ["create"], "resources": [{"group": "", "resources": ["pods"]}]}
    async with https_apiserver(tmp_path) as api:
        now = api.server.system.clock.now
        stages = ["RequestReceived"]
        api.server.core.access.audit = Audit(
            read_policy(policy(rule, omitStages=stages)), log, now, lambda problem: None
        )
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        async with httpx.AsyncClient(base_url=api.url, verify=False, headers=headers) as client:
            labels = {"pod-security.kubernetes.io/audit": "baseline"}
            await client.post("/api/v1/namespaces", json={"metadata": {"name": "n", "labels": labels}})
            pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], "hostPID": True}}
            assert (await client.post("/api/v1/namespaces/n/pods", json=pod)).status_code == 201
        api.server.core.access.audit.close()
    (event,) = [json.loads(line) for line in await trio.to_thread.run_sync(lambda: log.read_text().splitlines())]
    assert event["annotations"] == {
        "authorization.k8s.io/decision": "allow",
        "pod-security.kubernetes.io/enforce-policy": "privileged:latest",
        "pod-security.kubernetes.io/audit-violations": 'would violate PodSecurity "baseline:latest": host namespaces '
        "(hostPID=true)",
    }
