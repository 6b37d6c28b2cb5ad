"""Service account tokens for projected volumes, asked from the API for one pod."""

from __future__ import annotations

import msgspec

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Request
from kube_actors.api.types.authentication_v1 import (
    BoundObjectReference,
    TokenRequest,
    TokenRequestSpec,
    TokenRequestStatus,
)
from kube_actors.api.types.core_v1 import Pod
from kube_actors.client import Client


async def request(client: Client, pod: Pod, audience: str, seconds: int) -> TokenRequestStatus | None:
    """A token bound to the pod; None when this API server makes none."""
    bound = BoundObjectReference(api_version="v1", kind="Pod", name=pod.metadata.name, uid=pod.metadata.uid)
    spec = TokenRequestSpec(
        audiences=(audience,) if audience else (), expiration_seconds=seconds, bound_object_ref=bound
    )
    account = pod.spec.service_account_name or "default"
    try:
        answer = await client.send(
            Request(
                verb="create",
                version="v1",
                resource="serviceaccounts",
                namespace=pod.metadata.namespace,
                name=account,
                subresource="token",
                body=msgspec.json.encode(TokenRequest(spec=spec)),
            )
        )
    except ApiError as error:
        if error.code in (404, 405):
            return None
        raise
    return msgspec.json.decode(answer.body, type=TokenRequest).status
