"""Secrets with service-account tokens: filled, repaired, and gone with their account."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from kube_actors.api.errors import ApiError
from kube_actors.controllers import Options

from .conftest import World, running

SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "type": "kubernetes.io/service-account-token",
    "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "sa"}},
}


def sign(namespace: str, name: str, uid: str, secret: str) -> str:
    return f"{namespace}/{name}/{uid}/{secret}"


async def data(world: World) -> dict[str, str]:
    try:
        found = await world.api.get("Secret", "t", "default")
    except ApiError as error:
        assert error.is_not_found
        return {}
    return {key: b64decode(value).decode() for key, value in (found.get("data") or {}).items()}


async def test_a_secret_is_filled_repaired_and_gone_with_its_account(autojump_clock: Any) -> None:
    async with running(Options(root_ca="PEM", sign_token=sign), kubelet=False) as world:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sa"}}
        uid = (await world.api.create(account))["metadata"]["uid"]
        await world.api.create(SECRET)
        whole = {"ca.crt": "PEM", "namespace": "default", "token": f"default/sa/{uid}/t"}

        async def filled() -> bool:
            return await data(world) == whole

        await world.until(filled)
        found = await world.api.get("Secret", "t", "default")
        assert found["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == uid
        await world.patch("Secret", "t", {"data": {"ca.crt": None, "namespace": None}})
        await world.until(filled)
        await world.api.delete("ServiceAccount", "sa", "default")
        await world.api.create(account)  # another account of the same name is not the one the token speaks for

        async def gone() -> bool:
            return await data(world) == {}

        await world.until(gone)


async def test_without_a_key_nobody_fills_them(autojump_clock: Any) -> None:
    async with running(Options(root_ca="PEM"), kubelet=False) as world:
        assert "serviceaccount-token-controller" not in world.manager.names
