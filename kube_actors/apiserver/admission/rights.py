"""Asking the authorizer on behalf of admission: may this user also do that other thing?"""

from __future__ import annotations

from typing import Any

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import Request, UserInfo
from kube_actors.apiserver.core import Core


async def allowed(core: Core, user: UserInfo, verb: str, group: str, resource: str, **more: Any) -> bool:
    """Whether the user may; a server without an authorizer allows everything. verb may be one that is only spoken of
    (approve, sign, use)."""
    if core.authorizer is None:
        return True
    asked = Request(
        verb=verb,  # type: ignore[arg-type]
        group=group,
        version=more.pop("version", "*"),
        resource=resource,
        user=user,
        **more,
    )
    try:
        await core.authorizer.authorize(asked)
    except ApiError as error:
        if error.is_forbidden:
            return False
        raise
    return True
