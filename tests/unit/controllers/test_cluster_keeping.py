"""Small controllers that keep a cluster tidy: node ranges, bootstrap tokens, legacy tokens, storage versions."""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api.time import format_time
from kube_actors.api.types.apiserverinternal_v1alpha1 import StorageVersion
from kube_actors.api.types.coordination_v1 import Lease
from kube_actors.api.types.core_v1 import ConfigMap, Secret
from kube_actors.controllers import Options, bootstrap, legacytokens, storageversions
from kube_actors.controllers.contract import Delete, Outcome, Patch, Update
from kube_actors.controllers.manager import enabled
from kube_actors.controllers.nodeipam import Parts

from .conftest import running

DAY = 24 * 3600.0
YEAR = 365 * DAY
NOW = 1_800_000_000.0


# Which controllers run


def test_what_is_off_unless_named() -> None:
    assert "token-cleaner-controller" not in enabled(("*",))
    assert "token-cleaner-controller" in enabled(("*", "token-cleaner-controller"))
    assert enabled(("node-ipam-controller",)) == ("node-ipam-controller",)
    assert enabled(("*", "-service-lb-controller")) == enabled(("*",))
    with pytest.raises(ValueError, match="'service-lb-controller' is not in the list"):
        enabled(("service-lb-controller",))


# Node ranges


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=40))
def test_no_two_nodes_have_the_same_addresses(steps: list[tuple[bool, int]]) -> None:
    parts = Parts("10.0.0.0/22", 24)
    held: list[str] = []
    for takes, which in steps:
        if takes:
            found = parts.allocate()
            assert (found is None) == (len(held) == 4), "a part is given as long as there is one"
            if found is not None:
                networks = [ipaddress.ip_network(one) for one in held]
                assert not any(ipaddress.ip_network(found).overlaps(other) for other in networks)
                held.append(found)
        elif held:
            parts.release(held.pop(which % len(held)))


def test_ranges_of_others_are_respected() -> None:
    parts = Parts("10.0.0.0/22", 24)
    parts.occupy("10.0.0.0/23")
    parts.occupy("192.168.0.0/16")
    parts.occupy("nonsense")
    assert [parts.allocate() for _ in range(3)] == ["10.0.2.0/24", "10.0.3.0/24", None]


async def test_nodes_get_their_ranges(autojump_clock: Any) -> None:
    options = Options(controllers=("node-ipam-controller",), cluster_cidr="10.9.0.0/23", node_cidr_mask_size=24)
    async with running(options, nodes=(), kubelet=False) as world:
        for name in ("a", "b", "c"):
            await world.api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})

        async def ranges() -> list[str]:
            nodes = await world.items("Node", "")
            found = sorted(node["spec"]["podCIDR"] for node in nodes if node.get("spec", {}).get("podCIDR"))
            return found if len(found) == 2 else []

        assert await world.until(ranges) == ["10.9.0.0/24", "10.9.1.0/24"]

        async def told() -> bool:
            return any(reason == "CIDRNotAvailable" for _, reason, _ in await world.events())

        await world.until(told)
        actions = world.manager.statistics()[0].actions
        assert actions == 2, "a node that cannot be helped costs no writes"
        first = next(node for node in await world.items("Node", "") if node["spec"].get("podCIDR"))
        await world.api.delete("Node", first["metadata"]["name"])
        await world.until(ranges)


# Bootstrap tokens


def token(identity: str = "abcdef", **fields: str) -> Secret:
    data = {"token-id": identity, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true"} | fields
    tree = {
        "metadata": {"name": f"bootstrap-token-{identity}", "namespace": "kube-system", "uid": identity},
        "type": bootstrap.SECRET_TYPE,
        "data": {key: b64encode(value.encode()).decode() for key, value in data.items()},
    }
    return msgspec.convert(tree, Secret)


def test_expired_tokens_go() -> None:
    def ends(text: str) -> tuple[int, float | None]:
        plan = bootstrap.plan_token(bootstrap.ObservedToken(token(expiration=text), NOW))
        return len(plan.actions), plan.requeue_after

    assert ends(format_time(NOW + 60)) == (0, 60.0)
    assert ends(format_time(NOW - 1)) == (1, None)
    assert ends("one day") == (1, None)
    assert not bootstrap.plan_token(bootstrap.ObservedToken(token(), NOW)).actions


def test_cluster_info_is_signed_by_every_token_that_may() -> None:
    secrets = [
        token("aaaaaa"),
        token("bbbbbb", expiration=format_time(NOW + 5)),
        token("cccccc", expiration=format_time(NOW - 5)),
        token("dddddd", **{"usage-bootstrap-signing": "no"}),
        token("eeeeee", **{"token-secret": "short"}),
    ]
    tokens, look_in = bootstrap.signing_tokens(secrets, NOW)
    assert (sorted(tokens), look_in) == (["aaaaaa", "bbbbbb"], 5.0)
    tree = {"metadata": {"name": "cluster-info"}, "data": {"kubeconfig": "text", "jws-kubeconfig-zzzzzz": "old"}}
    info = msgspec.convert(tree, ConfigMap)
    (update,) = bootstrap.plan_info(bootstrap.ObservedInfo(info, tokens, look_in)).actions
    assert isinstance(update, Update)
    assert sorted(update.obj.data) == ["jws-kubeconfig-aaaaaa", "jws-kubeconfig-bbbbbb", "kubeconfig"]
    assert not bootstrap.plan_info(bootstrap.ObservedInfo(update.obj, tokens, look_in)).actions
    # An example worked by hand with openssl: header and payload in base64url, HMAC-SHA256 over both.
    assert bootstrap.signature("", "abc", "secret").startswith("eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiYyJ9..")


async def test_the_cleaner_waits_for_the_end_of_a_token(autojump_clock: Any) -> None:
    async with running(Options(controllers=("token-cleaner-controller",)), nodes=(), kubelet=False) as world:
        now = world.system.clock.now()
        tree = msgspec.to_builtins(token(expiration=format_time(now + 100)))
        tree["metadata"].pop("uid")
        await world.api.create({"apiVersion": "v1", "kind": "Secret", **tree})

        async def gone() -> bool:
            return not await world.items("Secret", "kube-system")

        await world.until(gone)
        assert 99.0 <= world.system.clock.now() - now < 105.0


# Legacy tokens


def legacy(age: float, **labels: str) -> Secret:
    metadata = {"name": "s", "namespace": "n", "uid": "u", "labels": labels}
    tree = {"metadata": {**metadata, "creationTimestamp": format_time(NOW - age)}, "type": legacytokens.SECRET_TYPE}
    return msgspec.convert(tree, Secret)


def on(age: float) -> str:
    return format_time(NOW - age)[:10]


@pytest.mark.parametrize(
    ("age", "tracked", "used", "invalid", "expected"),
    [
        (3 * YEAR, 2 * YEAR, None, None, Patch),
        (3 * YEAR, 2 * YEAR, on(2 * YEAR), None, Patch),
        (3 * YEAR, 2 * YEAR, on(DAY), None, None),
        (3 * YEAR, 2 * YEAR, "yesterday", None, None),
        (3 * YEAR, 2 * YEAR, None, on(DAY), None),
        (3 * YEAR, 2 * YEAR, None, on(YEAR + 2 * DAY), Delete),
        (DAY, 2 * YEAR, None, None, None),
        (3 * YEAR, DAY, None, None, None),
        (3 * YEAR, None, None, None, None),
    ],
)
def test_a_token_nobody_used_is_marked_and_a_year_later_deleted(
    age: float, tracked: float | None, used: str | None, invalid: str | None, expected: type[Any] | None
) -> None:
    labels = {legacytokens.LAST_USED: used, legacytokens.INVALID_SINCE: invalid}
    secret = legacy(age, **{key: value for key, value in labels.items() if value is not None})
    plan = legacytokens.plan(legacytokens.Observed(secrets=(secret,), now=NOW, period=YEAR))
    tracking = msgspec.convert({"data": {"since": on(tracked)}}, ConfigMap) if tracked is not None else None
    assert plan.then is not None
    after = plan.then(Outcome(results=(tracking,)))
    assert [type(action) for action in after.actions] == ([expected] if expected is not None else [])
    assert after.requeue_after == DAY


# Storage versions


@given(
    servers=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["v1", "v2"])), max_size=3, unique_by=lambda one: one[0]
    ),
    dead=st.sets(st.sampled_from("abc")),
)
def test_only_living_servers_keep_books(servers: list[tuple[str, str]], dead: set[str]) -> None:
    books = [{"apiServerID": name, "encodingVersion": text, "decodableVersions": [text]} for name, text in servers]
    version = msgspec.convert(
        {"metadata": {"name": "x", "uid": "x"}, "status": {"storageVersions": books}}, StorageVersion
    )
    missing = tuple(name for name, _ in servers)
    lease = msgspec.convert({"metadata": {"labels": {storageversions.IDENTITY_LABEL: "kube-apiserver"}}}, Lease)
    plan = storageversions.plan(storageversions.Observed(version=version, missing=missing, now=NOW))
    if plan.then is None:
        assert not servers
        return
    after = plan.then(Outcome(results=tuple(None if name in dead else lease for name in missing)))
    left = [one for one in servers if one[0] not in dead]
    if len(left) == len(servers):
        assert not after.actions
    elif not left:
        assert isinstance(after.actions[0], Delete)
    else:
        (update,) = after.actions
        assert isinstance(update, Update)
        assert [one.api_server_id for one in update.obj.status.storage_versions] == [name for name, _ in left]
        encodings = {text for _, text in left}
        assert update.obj.status.common_encoding_version == (encodings.pop() if len(encodings) == 1 else None)
