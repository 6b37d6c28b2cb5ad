"""Every write refused, for minutes: each controller asks again ever more seldom, and goes on once it may."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import trio

from kube_actors.api import errors
from kube_actors.api.messages import AnyRequest, Request
from kube_actors.client import Client, Transport
from kube_actors.controllers import ControllerManager
from tests.kit.apiserver import TESTER, running_apiserver
from tests.kit.transports import Passing

from .conftest import deployment

WRITES = ("create", "update", "patch", "delete", "deletecollection")
MINUTES = 3
A_MINUTE = 45
"""Requests about one object a minute: each of three controllers sends 14 in the first, as its pause doubles."""


class Refusing(Passing):
    """Refuses writes while told to, and counts what is asked about each object."""

    def __init__(self, inner: Transport, refusal: errors.ApiError) -> None:
        super().__init__(inner)
        self.refusal: errors.ApiError | None = refusal
        self.asked: Counter[tuple[str, str, str, str]] = Counter()

    async def send(self, request: AnyRequest) -> Any:
        if isinstance(request, Request) and request.resource not in ("events", "leases"):
            if request.verb in (*WRITES, "get"):
                self.asked[(request.verb, request.resource, request.namespace, request.name)] += 1
            if request.verb in WRITES and self.refusal is not None:
                raise self.refusal
        return await super().send(request)


def objects() -> list[dict[str, Any]]:
    """Something to do for each controller of the cluster."""
    pod = {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 0}
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": "00000000-0000-0000-0000-000000000001"}
    claims = [{"name": "r", "resourceClaimTemplateName": "none"}]
    core, labels = {"apiVersion": "v1"}, {"app": "web"}
    return [
        {**core, "kind": "Namespace", "metadata": {"name": "going"}},
        {**core, "kind": "Node", "metadata": {"name": "silent"}},
        {**core, "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "5"}}},
        {**core, "kind": "ConfigMap", "metadata": {"name": "orphan", "ownerReferences": [owner]}},
        {**core, "kind": "Pod", "metadata": {"name": "lost", "labels": labels}, "spec": {**pod, "nodeName": "no-such"}},
        {**core, "kind": "Pod", "metadata": {"name": "claims"}, "spec": {**pod, "resourceClaims": claims}},
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "pdb"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
        },
        deployment(replicas=3),
    ]


@pytest.mark.parametrize(
    "refusal",
    [errors.forbidden("pods", "x", "a webhook denied it"), errors.conflict("pods", "x", "it is another one by now")],
    ids=["denied", "conflict"],
)
async def test_no_controller_runs_hot(refusal: errors.ApiError, autojump_clock: Any) -> None:
    async with running_apiserver() as api:
        for tree in objects():
            await api.create(tree)
        await api.delete("Namespace", "going")
        transport = Refusing(api.transport(TESTER, "kcm"), refusal)
        manager = ControllerManager(Client(transport), api.system)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(manager.run)
            for _ in range(MINUTES):
                transport.asked.clear()
                await trio.sleep(60)
                hot = {what: count for what, count in transport.asked.items() if count > A_MINUTE}
                assert not hot, hot
            assert sum(transport.asked.values()), "they go on asking"
            transport.refusal = None
            await trio.sleep(600)
            assert len((await api.list("Pod", "default"))["items"]) == 4
            assert "going" not in {one["metadata"]["name"] for one in (await api.list("Namespace"))["items"]}
            nursery.cancel_scope.cancel()
