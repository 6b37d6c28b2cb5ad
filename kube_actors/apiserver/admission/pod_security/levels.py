"""Which level of the Pod Security Standards a namespace wants, read from its labels.

Owns levels, versions and the labels' problems. A namespace with labels that cannot be read is held to the strictest
level when enforced, and to none when audited or warned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from kube_actors._version import KUBERNETES_VERSION
from kube_actors.api import field_errors as fields
from kube_actors.api.field_errors import FieldError

PRIVILEGED, BASELINE, RESTRICTED = LEVELS = ("privileged", "baseline", "restricted")
PREFIX = "pod-security.kubernetes.io/"
LATEST = int(KUBERNETES_VERSION.split(".")[1])
"""The minor version that the checks here are those of."""
_VERSION = re.compile(r"v1\.([0-9]|[1-9][0-9]*)")


class Level(NamedTuple):
    """A level at a version: "latest" or "v1.N"."""

    name: str = PRIVILEGED
    version: str = "latest"

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def minor(self) -> int:
        return LATEST if self.version == "latest" else min(int(self.version[3:]), LATEST)


class Policy(NamedTuple):
    """What a namespace wants; problems are those of its labels."""

    enforce: Level = Level()
    audit: Level = Level()
    warn: Level = Level()
    problems: tuple[FieldError, ...] = ()

    @property
    def is_free(self) -> bool:
        return not self.problems and self.enforce.name == self.audit.name == self.warn.name == PRIVILEGED


FREE = Policy()


def policy_of(labels: Mapping[str, str]) -> Policy:
    """The policy that these labels of a namespace ask for."""
    found: dict[str, Level] = {}
    problems: list[FieldError] = []
    for mode in ("enforce", "audit", "warn"):
        key = PREFIX + mode
        level, version = labels.get(key), labels.get(f"{key}-version")
        name, at = PRIVILEGED, "latest"
        if level is not None:
            name = level
            if level not in LEVELS:
                name = RESTRICTED if mode == "enforce" else PRIVILEGED
                problems.append(_problem(key, level, f"must be one of {', '.join(LEVELS)}"))
        if version is not None:
            at = version
            if version != "latest" and not _VERSION.fullmatch(version):
                at = "latest"
                problems.append(_problem(f"{key}-version", version, 'must be "latest" or "v1.x"'))
        found[mode] = Level(name, at)
    return Policy(problems=tuple(problems), **found)


def _problem(key: str, value: str, why: str) -> FieldError:
    return fields.invalid(f"metadata.labels[{key}]", value, why)
