"""Images as the pull policy wants them, with the kubelet's events and reasons.

`have` gives the image or raises `ImageError`, whose reason is what the container waits with.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from kube_actors.actors import Clock
from kube_actors.api.types.core_v1 import Secret
from runtimes.contract import Auth, Image, ImagePullFailed, InvalidConfig, Runtime

from .model import AnyContainer
from .restarts import duration_text

_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[A-Za-z0-9+.-]+:[0-9a-fA-F]{32,})?"
)
_DEFAULT_REGISTRY = "docker.io"

Tell = Callable[[Literal["Normal", "Warning"], str, str], None]


class ImageError(Exception):
    """The image cannot be had now. reason: ErrImagePull, ErrImageNeverPull or InvalidImageName."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def policy_of(container: AnyContainer) -> str:
    """The pull policy; where none is written, Always for the tag latest."""
    if container.image_pull_policy:
        return container.image_pull_policy
    image = container.image or ""
    if "@" in image:
        return "IfNotPresent"
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


async def have(runtime: Runtime, container: AnyContainer, secrets: Sequence[Secret], tell: Tell, clock: Clock) -> Image:
    """The image, pulled if the policy says so."""
    reference = container.image or ""
    if not _REFERENCE.fullmatch(reference):
        message = (
            f'Failed to apply default image tag "{reference}": couldn\'t parse image name "{reference}": '
            "invalid reference format"
        )
        tell("Warning", "InspectFailed", message)
        raise ImageError("InvalidImageName", message)
    policy = policy_of(container)
    if policy != "Always":
        image = await runtime.image_status(reference)
        if image is not None:
            message = f'Container image "{reference}" already present on machine and can be accessed by the pod'
            tell("Normal", "Pulled", message)
            return image
        if policy == "Never":
            message = f'Container image "{reference}" is not present with pull policy of Never'
            tell("Warning", "ErrImageNeverPull", message)
            raise ImageError("ErrImageNeverPull", message)
    return await _pull(runtime, reference, secrets, tell, clock)


async def _pull(runtime: Runtime, reference: str, secrets: Sequence[Secret], tell: Tell, clock: Clock) -> Image:
    tell("Normal", "Pulling", f'Pulling image "{reference}"')
    began = clock.monotonic()
    failure: Exception | None = None
    for auth in (*credentials(reference, secrets), None):
        try:
            image = await runtime.pull_image(reference, auth)
        except (ImagePullFailed, InvalidConfig) as error:
            # The first cause is the one of the credentials that were meant for this image.
            failure = failure or error
            continue
        took = duration_text(round(clock.monotonic() - began, 3)) if clock.monotonic() > began else "0s"
        tell(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{reference}" in {took} ({took} including waiting). '
            f"Image size: {image.size_bytes} bytes.",
        )
        return image
    tell("Warning", "Failed", f'Failed to pull image "{reference}": {failure}')
    raise ImageError("ErrImagePull", str(failure))


def image_id(image: Image) -> str:
    """What a status names: a digest where the registry gave one."""
    return image.digests[0] if image.digests else image.id


# --- credentials --------------------------------------------------------------------------------------------


def credentials(reference: str, secrets: Sequence[Secret]) -> list[Auth]:
    """The logins that imagePullSecrets hold for an image's registry, the longest match first."""
    repository = _full_name(reference)
    found: list[tuple[int, Auth]] = []
    for secret in secrets:
        for registry, entry in _entries(secret).items():
            prefix = _registry_prefix(registry)
            if repository == prefix or repository.startswith(prefix + "/"):
                auth = _auth(prefix.partition("/")[0], entry)
                if auth is not None:
                    found.append((len(prefix), auth))
    found.sort(key=lambda one: -one[0])
    return [auth for _, auth in found]


def _entries(secret: Secret) -> dict[str, Any]:
    key = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
    data = secret.data.get(key.get(secret.type or "", ""), "")
    try:
        decoded = msgspec.json.decode(base64.b64decode(data)) if data else {}
    except (binascii.Error, msgspec.DecodeError):
        return {}  # as the kubelet does: a login that cannot be read is none
    if isinstance(decoded, dict) and ".dockerconfigjson" in secret.data:
        decoded = decoded.get("auths", {})
    return decoded if isinstance(decoded, dict) else {}


def _auth(server: str, entry: Any) -> Auth | None:
    if not isinstance(entry, dict):
        return None
    username, password = entry.get("username", ""), entry.get("password", "")
    if not username and entry.get("auth"):
        try:
            username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
    token = entry.get("identitytoken", "")
    if not username and not token:
        return None
    return Auth(username=username, password=password, server=server, identity_token=token)


def _registry_prefix(registry: str) -> str:
    name = registry.partition("://")[2] or registry
    name = name.rstrip("/")
    for tail in ("/v1", "/v2"):
        name = name.removesuffix(tail)
    return _DEFAULT_REGISTRY if name in ("index.docker.io", "docker.io", "registry-1.docker.io") else name


def _full_name(reference: str) -> str:
    """The reference's repository with its registry."""
    name = reference.partition("@")[0]
    head, slash, rest = name.partition("/")
    if not slash or not ("." in head or ":" in head or head == "localhost"):
        return f"{_DEFAULT_REGISTRY}/{name}"
    return f"{head}/{rest}".rsplit(":", 1)[0] if ":" in rest else f"{head}/{rest}"
