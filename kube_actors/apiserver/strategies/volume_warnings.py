"""Texts for Warning headers about the volumes of a pod spec: dead plugins, and files that lie over each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kube_actors.api.field_errors import quote
from kube_actors.apiserver.strategies import storage_warnings
from kube_actors.apiserver.strategies.checks import JSONObject

_DEAD = {
    **storage_warnings.VOLUMES,
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
}
_PARTS = ("secret", "configMap", "downwardAPI", "serviceAccountToken")
_GO = {"configMap": "ConfigMap", "secret": "Secret", "downwardAPI": "DownwardAPI"}


def plugins(volumes: Sequence[JSONObject], path: str) -> list[str]:
    """Sources that do nothing, and what the templates of claims deserve."""
    found = []
    for index, volume in enumerate(volumes):
        at = f"{path}[{index}]"
        found += [f"{at}.{key}: {text}" for key, text in _DEAD.items() if volume.get(key) is not None]
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is not None:
            where = f"{at}.ephemeral.volumeClaimTemplate.spec"
            found += storage_warnings.claim_spec(template.get("spec") or {}, where)
    return found


def overlaps(volumes: Sequence[JSONObject]) -> list[str]:
    """Files of one volume that hide each other."""
    found = []
    for volume in volumes:
        name = quote(volume.get("name", ""))
        for key, who in (("configMap", "name"), ("secret", "secretName"), ("downwardAPI", "")):
            source = volume.get(key)
            if source is None or source.get("items") is None:
                continue
            lead = f"{_GO[key]} {quote(source.get(who, ''))}" if who else _GO[key]
            paths = [_clean(item.get("path", "")) for item in source["items"]]
            for position, path in enumerate(paths):
                for other in _hidden(path, paths[:position]):
                    found.append(f"volume {name} ({lead}): overlapping paths: {quote(path)} with {quote(other)}")
        found += _projected(volume.get("projected"), name)
    return found


def _projected(source: JSONObject | None, name: str) -> list[str]:
    found: list[str] = []
    known: list[tuple[str, str]] = []
    for part in (source or {}).get("sources") or ():
        kinds = [key for key in _PARTS if part.get(key) is not None]
        if not kinds:
            found.append(f"volume {name} (Projected) has no sources provided")
            continue
        for path, where in _files(kinds[0], part[kinds[0]]):
            for other in known:
                if list(_hidden(path, [other[0]])):
                    text = f"{quote(path)} ({where}) with {quote(other[0])} ({other[1]})"
                    found.append(f"volume {name} (Projected): overlapping paths: {text}")
            known.append((path, where))
    return found


def _files(kind: str, part: JSONObject) -> list[tuple[str, str]]:
    if kind == "serviceAccountToken":
        return [(_clean(part.get("path", "")), "ServiceAccountToken")]
    where = _GO[kind] if kind == "downwardAPI" else f"{_GO[kind]} {quote(part.get('name', ''))}"
    return [(_clean(item.get("path", "")), where) for item in part.get("items") or ()]


def _clean(path: str) -> str:
    return path.rstrip("/")


def _hidden(path: str, others: Iterable[str]) -> Iterable[str]:
    for other in others:
        if path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/"):
            yield other
