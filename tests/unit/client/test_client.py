"""The client's methods against the real API server in this process."""

from __future__ import annotations

import pytest
import trio
from msgspec import structs

from kube_actors.actors import Ask, Mailbox
from kube_actors.api.errors import ApiError, Status
from kube_actors.api.messages import ANONYMOUS, Answer, AnyAnswer, AnyRequest
from kube_actors.api.types.apps_v1 import Deployment
from kube_actors.api.types.core_v1 import ConfigMap, Container, Namespace, Node, Pod, PodSpec
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.client import ChannelTransport, Client, TransportTimeout, Unavailable, UnknownKind
from tests.kit.apiserver import RunningAPIServer


def config(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default", labels={"app": name}), data=data)


def pod(name: str) -> Pod:
    spec = PodSpec(containers=(Container(name="main", image="busybox"),))
    return Pod(metadata=ObjectMeta(name=name, namespace="default"), spec=spec)


async def test_create_get_update_delete(any_client: Client) -> None:
    client = any_client
    made = await client.create(config("a", x="1"))
    assert made.metadata.uid and made.metadata.resource_version
    assert await client.get(ConfigMap, "a", namespace="default") == made
    changed = await client.update(config("a", x="2"))
    assert changed.data == {"x": "2"}
    gone = await client.delete(ConfigMap, "a", namespace="default")
    assert isinstance(gone, Status) and gone.status == "Success"
    with pytest.raises(ApiError, match='configmaps "a" not found') as caught:
        await client.get(ConfigMap, "a", namespace="default")
    assert caught.value.is_not_found


async def test_kinds_may_be_words_and_objects_dicts(any_client: Client) -> None:
    client = any_client
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d", "namespace": "default"}}
    made = await client.create(manifest)
    assert made["metadata"]["uid"]
    assert (await client.get("cm", "d", namespace="default")).metadata.name == "d"
    assert isinstance(await client.get("v1/ConfigMap", "d", namespace="default"), ConfigMap)


async def test_the_namespace_of_a_new_object_may_be_given_beside_it(any_client: Client) -> None:
    client = any_client
    made = await client.create(ConfigMap(metadata=ObjectMeta(name="n")), namespace="default")
    assert made.metadata.namespace == "default"
    node = await client.create(Node(metadata=ObjectMeta(name="n1")), namespace="default")
    assert node.metadata.namespace == ""


async def test_a_write_with_an_old_revision_conflicts(any_client: Client) -> None:
    client = any_client
    made = await client.create(config("a", x="1"))
    await client.update(made)
    await client.patch(ConfigMap, "a", {"data": {"x": "2"}}, namespace="default", patch_type="merge")
    with pytest.raises(ApiError) as caught:
        await client.update(made)
    assert caught.value.is_conflict


async def test_modify_reads_again_after_a_conflict(any_client: Client) -> None:
    client = any_client
    await client.create(config("a", x="1"))
    first = True

    def change(found: ConfigMap) -> ConfigMap | None:
        nonlocal first
        if first:
            first = False
            # As if somebody else had written in between.
            found = structs.replace(found, metadata=structs.replace(found.metadata, resource_version="1"))
        return structs.replace(found, data={**found.data, "y": "2"})

    changed = await client.modify(ConfigMap, "a", change, namespace="default")
    assert changed.data == {"x": "1", "y": "2"}
    assert await client.modify(ConfigMap, "a", lambda found: None, namespace="default") == changed


async def test_preconditions_of_a_deletion(any_client: Client) -> None:
    client = any_client
    await client.create(config("a"))
    with pytest.raises(ApiError) as caught:
        await client.delete(ConfigMap, "a", namespace="default", uid="another")
    assert caught.value.is_conflict


async def test_lists_select_and_page(any_client: Client) -> None:
    client = any_client
    for name in "abcde":
        await client.create(config(name))
    listed = await client.list(ConfigMap, namespace="default", label_selector="app in (a,b)")
    assert [found.metadata.name for found in listed.items] == ["a", "b"]
    page = await client.list(ConfigMap, namespace="default", label_selector="app", limit=2)
    assert len(page.items) == 2 and page.continue_
    everything = await client.list_pages(ConfigMap, namespace="default", label_selector="app", page_size=2)
    assert [found.metadata.name for found in everything.items] == list("abcde")
    assert everything.continue_ == "" and everything.resource_version


async def test_delete_collection_deletes_what_the_selector_matches(any_client: Client) -> None:
    client = any_client
    for name in "abc":
        await client.create(config(name))
    await client.delete_collection(ConfigMap, namespace="default", label_selector="app in (a,c)")
    left = await client.list(ConfigMap, namespace="default", label_selector="app")
    assert [found.metadata.name for found in left.items] == ["b"]


async def test_dry_run_changes_nothing(any_client: Client) -> None:
    client = any_client
    made = await client.create(config("a"), dry_run=True)
    assert made.metadata.uid
    with pytest.raises(ApiError):
        await client.get(ConfigMap, "a", namespace="default")


async def test_a_watch_gives_typed_events_in_order(any_client: Client) -> None:
    client = any_client
    start = (await client.list(ConfigMap, namespace="default")).resource_version
    async with client.watch(ConfigMap, namespace="default", resource_version=start) as events:
        await client.create(config("a", x="1"))
        await client.patch(ConfigMap, "a", {"data": {"x": "2"}}, namespace="default", patch_type="merge")
        await client.delete(ConfigMap, "a", namespace="default")
        seen = []
        async for event in events:
            seen.append((event.type, event.object.data.get("x")))
            if event.type == "DELETED":
                break
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]
    assert int(events.resource_version) > int(start)


async def test_a_watch_ends_when_its_time_is_over(autojump_clock: trio.testing.MockClock, client: Client) -> None:
    async with client.watch(ConfigMap, timeout_seconds=5, resource_version="0") as events:
        with trio.fail_after(60):
            async for _ in events:
                pass


async def test_status_and_binding_are_writes_of_their_own(any_client: Client) -> None:
    client = any_client
    await client.create(Node(metadata=ObjectMeta(name="n1")))
    made = await client.create(pod("web"))
    await client.bind("web", "n1", namespace="default", uid=made.metadata.uid)
    bound = await client.get(Pod, "web", namespace="default")
    assert bound.spec.node_name == "n1"
    patched = await client.patch(
        Pod, "web", {"status": {"phase": "Running"}}, namespace="default", subresource="status"
    )
    assert patched.status.phase == "Running"


async def test_scale_is_of_its_own_kind(any_client: Client) -> None:
    client = any_client
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    await client.create(manifest)
    scale = await client.get("deployments", "web", namespace="default", subresource="scale")
    assert (type(scale).__name__, scale.spec.replicas) == ("Scale", 2)
    body = {"spec": {"replicas": 5}}
    await client.patch("deployments", "web", body, namespace="default", subresource="scale", patch_type="merge")
    assert (await client.get(Deployment, "web", namespace="default")).spec.replicas == 5


async def test_a_kind_that_nobody_knows_is_named(any_client: Client) -> None:
    client = any_client
    with pytest.raises((UnknownKind, ApiError)):
        await client.list("nonsense")


async def test_a_server_that_stops_is_unavailable(api: RunningAPIServer) -> None:
    mailbox: Mailbox[Ask[AnyRequest, AnyAnswer]] = Mailbox(name="gone")
    client = Client(ChannelTransport(mailbox, ANONYMOUS))
    mailbox.close()
    with pytest.raises(Unavailable, match="get namespaces default: mailbox 'gone' is closed"):
        await client.get(Namespace, "default")


async def test_a_server_that_does_not_answer_is_a_timeout(autojump_clock: trio.testing.MockClock) -> None:
    mailbox: Mailbox[Ask[AnyRequest, AnyAnswer]] = Mailbox(name="silent")
    with pytest.raises(TransportTimeout, match="no answer from 'silent' in 60 s"):
        await Client(ChannelTransport(mailbox, ANONYMOUS)).get(Namespace, "default")


class Stubborn:
    """A transport whose server is busy a given number of times."""

    def __init__(self, busy: int, status: int = 429) -> None:
        self.asked = 0
        self._busy = busy
        self._status = status

    async def send(self, request: AnyRequest) -> Answer:
        await trio.lowlevel.checkpoint()
        self.asked += 1
        if self.asked <= self._busy:
            return Answer(status=self._status, headers=(("Retry-After", "3"),), body=b"busy")
        return Answer(body=b'{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"x"},"spec":{"finalizers":null}}')


async def test_retry_after_is_obeyed(autojump_clock: trio.testing.MockClock) -> None:
    transport = Stubborn(busy=2)
    start = trio.current_time()
    found = await Client(transport).create(Namespace(metadata=ObjectMeta(name="x")))  # type: ignore[arg-type]
    assert found.metadata.name == "x"
    assert trio.current_time() - start == pytest.approx(6)


async def test_a_write_that_may_have_happened_is_not_repeated(autojump_clock: trio.testing.MockClock) -> None:
    transport = Stubborn(busy=1, status=503)
    with pytest.raises(ApiError, match="busy"):
        await Client(transport).create(Namespace(metadata=ObjectMeta(name="x")))  # type: ignore[arg-type]
    assert transport.asked == 1


async def test_patience_has_an_end(autojump_clock: trio.testing.MockClock) -> None:
    transport = Stubborn(busy=1000)
    with pytest.raises(ApiError) as caught:
        await Client(transport).get(Namespace, "x")  # type: ignore[arg-type]
    assert caught.value.is_too_many_requests
    assert transport.asked == 11
