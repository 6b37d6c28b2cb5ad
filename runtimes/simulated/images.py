"""The simulated engine's images. Any well-formed reference can be pulled unless the script objects.

There is no registry to ask, so a reference tells for itself whether it names something: tags that people write when
they mean an image that does not exist, and registries under names that the DNS has reserved for no use (RFC 2606).
"""

from __future__ import annotations

import re
from hashlib import sha256

import trio

from runtimes.contract import Image, ImagePullFailed
from runtimes.simulated.behaviour import Script

_REFERENCE = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*"
    r"(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


ABSENT_TAGS = frozenset({"404", "nonexistent", "non-existent", "does-not-exist", "doesnotexist", "no-such-tag"})
ABSENT_REGISTRIES = (".invalid", ".example")


def is_absent(reference: str) -> bool:
    """Whether a reference says of itself that nothing is there."""
    name, _, tag = reference.partition("@")[0].rpartition(":")
    if name and tag.lower() in ABSENT_TAGS:
        return True
    host, slash, _ = reference.partition("/")
    host = host.partition(":")[0].lower()
    return bool(slash) and (host.endswith(ABSENT_REGISTRIES) or host.startswith("invalid."))


class ImageShelf:
    def __init__(self, script: Script) -> None:
        self._script = script
        self._images: dict[str, Image] = {}  # by full reference and by id
        self._failures: dict[str, int] = {}

    def get(self, reference: str) -> Image | None:
        return self._images.get(reference) or self._images.get(_full(reference))

    def all(self) -> tuple[Image, ...]:
        return tuple({image.id: image for image in self._images.values()}.values())

    def remove(self, image: Image) -> None:
        for key in [key for key, other in self._images.items() if other.id == image.id]:
            del self._images[key]

    async def pull(self, reference: str) -> Image:
        if _REFERENCE.fullmatch(reference) is None:
            raise ImagePullFailed(f"invalid reference format: {reference!r}")
        behaviour = self._script.for_image(reference)
        if behaviour.pull_seconds:
            await trio.sleep(behaviour.pull_seconds)
        if behaviour.pull_error:
            failed = self._failures.get(reference, 0)
            if behaviour.pull_failures is None or failed < behaviour.pull_failures:
                self._failures[reference] = failed + 1
                raise ImagePullFailed(behaviour.pull_error)
        full = _full(reference)
        if is_absent(full):
            problem = (
                f'failed to pull and unpack image "{full}": failed to resolve reference "{full}": {full}: not found'
            )
            raise ImagePullFailed(problem)
        image = self._images.get(full)
        if image is None:
            digest = sha256(full.encode()).hexdigest()
            repository = full.split("@")[0]
            repository = repository[: repository.rfind(":")] if ":" in repository.rsplit("/", 1)[-1] else repository
            image = Image(
                id="sha256:" + digest,
                tags=(full,) if "@" not in full else (),
                digests=(f"{repository}@sha256:{digest}",),
                size_bytes=behaviour.image_bytes,
            )
            self._images[full] = self._images[image.id] = image
        return image


def _full(reference: str) -> str:
    """With the tag that is meant when none is written."""
    if "@" in reference or ":" in reference.rsplit("/", 1)[-1]:
        return reference
    return reference + ":latest"
