"""Conditions of a definition, decided from it and its neighbours. Pure: it changes the dict it is given.

Owns which names collide, in which words, and what follows for Established.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

JSONObject = dict[str, Any]

APPROVAL: Final = "api-approved.kubernetes.io"
_PROTECTED: Final = (".k8s.io", ".kubernetes.io")


def set_condition(crd: JSONObject, kind: str, status: str, reason: str, message: str, now: str) -> None:
    """Set a condition; its time moves only with its status."""
    state = crd.setdefault("status", {})
    found = list(state.get("conditions") or ())
    old = next((one for one in found if one["type"] == kind), None)
    since = old["lastTransitionTime"] if old is not None and old["status"] == status else now
    made = {"type": kind, "status": status, "lastTransitionTime": since, "reason": reason, "message": message}
    state["conditions"] = [made if one is old else one for one in found] if old is not None else [*found, made]


def is_protected(group: str) -> bool:
    """Whether the group belongs to the Kubernetes community."""
    return group in {"k8s.io", "kubernetes.io"} or group.endswith(_PROTECTED)


def settle_names(crd: JSONObject, others: Iterable[JSONObject], now: str) -> None:
    """acceptedNames and NamesAccepted: each name that nobody else of the group has is taken over."""
    spec = crd["spec"]
    words: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        if other["spec"]["group"] == spec["group"]:
            taken = (other.get("status") or {}).get("acceptedNames") or {}
            words.update(filter(None, (taken.get("plural"), taken.get("singular"), *(taken.get("shortNames") or ()))))
            kinds.update(filter(None, (taken.get("kind"), taken.get("listKind"))))
    names = spec["names"]
    accepted = dict((crd.get("status") or {}).get("acceptedNames") or {})
    complaints: list[tuple[str, str]] = []
    for key, taken, reason in (
        ("plural", words, "PluralConflict"),
        ("singular", words, "SingularConflict"),
        ("shortNames", words, "ShortNamesConflict"),
        ("kind", kinds, "KindConflict"),
        ("listKind", kinds, "ListKindConflict"),
    ):
        wanted = names.get(key)
        if not wanted:
            accepted.pop(key, None)
            continue
        clash = [word for word in ([wanted] if isinstance(wanted, str) else wanted) if word in taken]
        if clash:
            complaints.append((reason, _in_use(clash)))
        else:
            accepted[key] = wanted
    if names.get("categories"):
        accepted["categories"] = names["categories"]
    else:
        accepted.pop("categories", None)
    accepted.setdefault("plural", "")
    accepted.setdefault("kind", "")
    crd.setdefault("status", {})["acceptedNames"] = {key: accepted[key] for key in _ORDER if key in accepted}
    if complaints:
        reason, message = complaints[-1]
        set_condition(crd, "NamesAccepted", "False", reason, message, now)
    else:
        set_condition(crd, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now)


_ORDER: Final = ("plural", "singular", "shortNames", "kind", "listKind", "categories")


def _in_use(names: list[str]) -> str:
    quoted = [f'"{name}" is already in use' for name in names]
    return quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"


def established(crd: JSONObject, now: str) -> None:
    """Established follows the first acceptance and stays."""
    conditions = {one["type"]: one["status"] for one in crd["status"]["conditions"]}
    if conditions.get("Established") == "True":
        return
    if conditions["NamesAccepted"] == "True":
        text = "the initial names have been accepted"
        set_condition(crd, "Established", "True", "InitialNamesAccepted", text, now)
    else:
        set_condition(crd, "Established", "False", "NotAccepted", "not all names are accepted", now)


def approval(crd: JSONObject, now: str) -> None:
    """Whether a protected group's definition was approved, as its annotation says."""
    if not is_protected(crd["spec"]["group"]):
        return
    text = (crd["metadata"].get("annotations") or {}).get(APPROVAL, "")
    kind = "KubernetesAPIApprovalPolicyConformant"
    if text.startswith("unapproved"):
        set_condition(crd, kind, "False", "UnapprovedAnnotation", f'not approved: "{text}"', now)
    elif text:
        set_condition(crd, kind, "True", "ApprovedAnnotation", f"approved in {text}", now)
    else:
        why = (
            f'protected groups must have approval annotation "{APPROVAL}", see '
            "https://github.com/kubernetes/enhancements/pull/1111"
        )
        set_condition(crd, kind, "False", "MissingAnnotation", why, now)
