"""Token Secrets that were once made for every service account go when nobody has used them for a year. Pure.

First such a Secret is marked as invalid since today; after another such period it is deleted. Secrets that people made
themselves, and those that a pod mounts, are let be. Whether one was used is what the API server has noted on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from kube_actors.api.time import parse_time
from kube_actors.api.types.core_v1 import ConfigMap, Pod, Secret, ServiceAccount

from . import limits
from .contract import Action, Caches, Delete, Outcome, Patch, Plan, Read, Source
from .tokens import ACCOUNT_NAME, ACCOUNT_UID, SECRET_TYPE

TRACKING = "kube-system/kube-apiserver-legacy-service-account-token-tracking"
LAST_USED = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
ALL = "*"


class Observed(Struct, frozen=True, kw_only=True):
    """The Secrets that were made by a controller and that no pod mounts."""

    secrets: tuple[Secret, ...]
    now: float
    period: float


def day(text: str | None) -> datetime | None:
    """A date as 2026-01-31; None for anything else."""
    try:
        found = datetime.strptime(text or "", "%Y-%m-%d")
    except ValueError:
        return None
    return found.replace(tzinfo=UTC)


def plan(observed: Observed) -> Plan:
    """Ask since when use is tracked at all: before that has been long enough, nothing can be said of any Secret."""
    if not observed.secrets:
        return Plan(requeue_after=limits.LEGACY_TOKEN_LOOK_SECONDS)

    def judge(outcome: Outcome) -> Plan:
        tracking = outcome.results[0] if outcome.results else None
        since = day(tracking.data.get("since")) if tracking is not None else None
        now = datetime.fromtimestamp(observed.now, UTC)
        if since is None or now < since + timedelta(days=1, seconds=observed.period):
            return Plan(requeue_after=limits.LEGACY_TOKEN_LOOK_SECONDS)
        actions = [action for secret in observed.secrets for action in _of(secret, now, observed.period)]
        return Plan(actions=tuple(actions), requeue_after=limits.LEGACY_TOKEN_LOOK_SECONDS)

    return Plan(actions=(Read(kind=ConfigMap, key=TRACKING, tolerate=("NotFound",)),), then=judge)


def _of(secret: Secret, now: datetime, period: float) -> Iterable[Action]:
    metadata = secret.metadata
    limit = now - timedelta(seconds=period)
    if not metadata.creation_timestamp or parse_time(metadata.creation_timestamp) >= limit.timestamp():
        return
    first_day = limit.strftime("%Y-%m-%d")
    used = metadata.labels.get(LAST_USED)
    if used is not None and (day(used) is None or used >= first_day):
        return
    key = f"{metadata.namespace}/{metadata.name}"
    invalid = metadata.labels.get(INVALID_SINCE)
    if day(invalid) is None:
        labels = {INVALID_SINCE: now.strftime("%Y-%m-%d")}
        body: dict[str, Any] = {"metadata": {"uid": metadata.uid, "labels": labels}}
        yield Patch(kind=Secret, key=key, body=body, tolerate=("NotFound", "Conflict"))
    elif invalid is not None and invalid < first_day:
        yield Delete(
            kind=Secret,
            key=key,
            uid=metadata.uid,
            resource_version=metadata.resource_version,
            tolerate=("NotFound", "Conflict"),
        )


def mounted(pod: Pod) -> set[str]:
    """The Secrets that a pod names anywhere."""
    found = {reference.name or "" for reference in pod.spec.image_pull_secrets}
    for volume in pod.spec.volumes:
        if volume.secret is not None:
            found.add(volume.secret.secret_name or "")
        for source in volume.projected.sources if volume.projected is not None else ():
            if source.secret is not None:
                found.add(source.secret.name or "")
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        found |= {one.secret_ref.name or "" for one in container.env_from if one.secret_ref is not None}
        for variable in container.env:
            chosen = variable.value_from
            if chosen is not None and chosen.secret_key_ref is not None:
                found.add(chosen.secret_key_ref.name or "")
    return found


class LegacyTokens:
    """The legacy service account token cleaner."""

    name = "legacy-serviceaccount-token-cleaner-controller"
    component = "legacy-service-account-token-cleaner"
    workers = 1

    def __init__(self, period: float = limits.LEGACY_TOKEN_SECONDS) -> None:
        self._period = period

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=Secret, field_selector=f"type={SECRET_TYPE}"),
            Source(kind=ServiceAccount),
            Source(kind=Pod),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return (ALL,)

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        used: dict[str, set[str]] = {}
        found: list[Secret] = []
        for secret in caches.list(Secret):
            namespace = secret.metadata.namespace
            if secret.type != SECRET_TYPE or secret.metadata.deletion_timestamp is not None:
                continue
            if not _made_by_controller(secret, caches):
                continue
            if namespace not in used:
                used[namespace] = {name for pod in caches.list(Pod, namespace) for name in mounted(pod)}
            if secret.metadata.name not in used[namespace]:
                found.append(secret)
        return Observed(secrets=tuple(found), now=now, period=self._period)

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)


def _made_by_controller(secret: Secret, caches: Caches) -> bool:
    """Its account lists it: nobody but the old controller did that."""
    annotations = secret.metadata.annotations
    account = caches.get(ServiceAccount, f"{secret.metadata.namespace}/{annotations.get(ACCOUNT_NAME, '')}")
    if account is None or annotations.get(ACCOUNT_UID, account.metadata.uid) != account.metadata.uid:
        return False
    return any(reference.name == secret.metadata.name for reference in account.secrets)
