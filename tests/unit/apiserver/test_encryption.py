"""Secrets at rest: sealed beneath, plain above, and no use without the key."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import trio

from kube_actors.actors import Entropy, System, VirtualClock
from kube_actors.api.messages import Answer, WatchAnswer
from kube_actors.apiserver import APIServer
from kube_actors.apiserver.access.encryption import EncryptedStore, EncryptionError, sealers
from kube_actors.store.contract import Draft, Store, StoreError
from kube_actors.store.memory import MemoryStore
from tests.kit.apiserver import RunningAPIServer
from tests.kit.transports import Ways

KEY, PREFIX = "/registry/core/secrets/default/s", "/registry/core/secrets/"


def configuration(*names: str, size: int = 32, first: str = "aesgcm") -> dict[str, Any]:
    keys = [{"name": name, "secret": base64.b64encode(name.encode() * size).decode()} for name in names]
    providers: list[dict[str, Any]] = [{"aesgcm": {"keys": keys}}, {"identity": {}}]
    if first == "identity":
        providers.reverse()
    rule = {"resources": ["secrets"], "providers": providers}
    return {"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1", "resources": [rule]}


def sealed(inner: Store, config: dict[str, Any]) -> EncryptedStore:
    return EncryptedStore(inner, sealers(config, Entropy().secret_bytes))


async def over(store: Store, nursery: trio.Nursery) -> RunningAPIServer:
    server = APIServer(System(clock=VirtualClock(), entropy=Entropy(1)), store)
    nursery.start_soon(server.run)
    await server.ready.wait()
    return RunningAPIServer(server, store, Ways(server, nursery))


async def test_what_is_stored_is_sealed_and_what_is_read_is_not(autojump_clock: trio.testing.MockClock) -> None:
    inner = MemoryStore()
    async with trio.open_nursery() as nursery:
        api = await over(sealed(inner, configuration("a")), nursery)
        watch = await api.server.handle(api.request("watch", "Secret", timeout_seconds=60))
        assert isinstance(watch, WatchAnswer)
        made = await api.ask("create", "Secret", body={"metadata": {"name": "s"}, "stringData": {"k": "hush"}})
        raw = await inner.get(KEY)
        assert raw is not None and raw.value.startswith(b"k8s:enc:aesgcm:v1:a:") and b"data" not in raw.value
        assert await api.ask("get", "Secret", "default", "s") == made
        (listed,) = (await api.ask("list", "Secret", "default"))["items"]
        assert listed["data"] == made["data"]
        (event,) = await watch.stream.receive_batch()
        assert b'"data":{"k":"aHVzaA=="}' in event.object
        made["data"]["k"] = "b3RoZXI="
        assert (await api.ask("update", "Secret", "default", "s", body=made))["data"] == {"k": "b3RoZXI="}
        await api.ask("delete", "Secret", "default", "s")
        last = (await watch.stream.receive_batch())[-1]
        assert last.type == "DELETED" and b"b3RoZXI=" in last.object
        nursery.cancel_scope.cancel()


async def test_a_wrong_key_is_told_and_an_old_one_still_reads(autojump_clock: trio.testing.MockClock) -> None:
    inner = MemoryStore()
    async with trio.open_nursery() as nursery:
        first = await over(sealed(inner, configuration("a")), nursery)
        await first.ask("create", "Secret", body={"metadata": {"name": "s"}, "stringData": {"k": "hush"}})
        wrong = await over(sealed(inner, configuration("b")), nursery)
        answer = await wrong.server.handle(wrong.request("get", "Secret", "default", "s"))
        assert isinstance(answer, Answer) and answer.status == 500
        assert b"no matching key was found" in answer.body and b"hush" not in answer.body
        both = await over(sealed(inner, configuration("b", "a")), nursery)
        secret = await both.ask("get", "Secret", "default", "s")
        secret["data"]["k"] = "bmV3"
        await both.ask("update", "Secret", "default", "s", body=secret)
        raw = await inner.get(KEY)
        assert raw is not None and raw.value.startswith(b"k8s:enc:aesgcm:v1:b:")
        plain = await over(sealed(inner, configuration("b", first="identity")), nursery)
        await plain.ask("create", "Secret", body={"metadata": {"name": "t"}, "stringData": {"k": "open"}})
        raw = await inner.get("/registry/core/secrets/default/t")
        assert raw is not None and b"b3Blbg==" in raw.value
        nursery.cancel_scope.cancel()


async def test_a_value_moved_to_another_key_does_not_open() -> None:
    inner = MemoryStore()
    store = sealed(inner, configuration("a"))
    await store.put(KEY, Draft(b'{"metadata":{"resourceVersion":"', b'"}}'), expect=0)
    entry = await inner.get(KEY)
    assert entry is not None
    await inner.put(PREFIX + "default/other", entry.draft(), expect=0)
    with pytest.raises(StoreError, match="message authentication failed"):
        await store.get(PREFIX + "default/other")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "Other"}, "is not EncryptionConfiguration"),
        ({"resources": [{"resources": ["secrets"], "providers": []}]}, "at least one is needed"),
        ({"resources": [{"resources": ["secrets"], "providers": [{"secretbox": {}}]}]}, "unknown field `secretbox`"),
        (configuration("a", size=9), "not 16, 24 or 32"),
    ],
)
def test_a_configuration_that_cannot_be_used_says_why(change: dict[str, Any], said: str) -> None:
    with pytest.raises(EncryptionError, match=said):
        sealers({**configuration("a"), **change}, Entropy().secret_bytes)
