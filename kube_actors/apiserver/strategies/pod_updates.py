"""What an update may change in a pod that exists. Pure."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.apiserver.strategies import go_diff, pod_validation
from kube_actors.apiserver.strategies.checks import JSONObject, Problems

_MUTABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


_FREE = ("activeDeadlineSeconds", "tolerations", "schedulingGates", "ephemeralContainers")


def update_problems(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidatePodUpdate."""
    found = pod_validation.pod_problems(new)
    spec, before = new["spec"], old["spec"]
    for key in ("containers", "initContainers"):
        if len(spec.get(key) or ()) != len(before.get(key) or ()):
            text = f"pod updates may not add or remove {'containers' if key == 'containers' else 'initContainers'}"
            return [*found, fields.forbidden(f"spec.{key}", text)]
    for key in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(key) or ()):
            if not container.get("image"):
                found.append(fields.required(f"spec.{key}[{index}].image"))
    found += _deadline(spec, before)
    if before.get("schedulingGates") != spec.get("schedulingGates"):
        found += _gates(spec, before)
    if any(item not in (spec.get("tolerations") or ()) for item in before.get("tolerations") or ()):
        found.append(
            fields.forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")
        )
    if not found:
        munged = _munged(spec, before)
        if munged != before:
            found.append(fields.forbidden("spec", f"{_MUTABLE}\n{go_diff.difference('PodSpec', before, munged)}"))
    return found


def _deadline(spec: JSONObject, before: JSONObject) -> Problems:
    path = "spec.activeDeadlineSeconds"
    new, old = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if new is not None and old is not None and new > old:
        return [fields.invalid(path, new, "must be less than or equal to previous value")]
    if new is None and old is not None:
        return [fields.invalid(path, None, "must not update from a positive integer to nil value")]
    return []


def _gates(spec: JSONObject, before: JSONObject) -> Problems:
    known = {gate["name"] for gate in before.get("schedulingGates") or ()}
    added = [gate["name"] for gate in spec.get("schedulingGates") or () if gate.get("name") not in known]
    if added:
        text = f"only deletion is allowed, but found new scheduling gates: [{' '.join(added)}]"
        return [fields.forbidden("spec.schedulingGates", text)]
    return []


def _munged(spec: JSONObject, before: JSONObject) -> JSONObject:
    """The new spec with everything that may change as it was: what then differs may not."""
    kept = dict(spec)
    for key in _FREE:
        if key in before:
            kept[key] = before[key]
        else:
            kept.pop(key, None)
    for key in ("containers", "initContainers"):
        if key in kept:
            pairs = zip(kept[key], before.get(key) or (), strict=False)
            kept[key] = [{**new, "image": old["image"]} if "image" in old else new for new, old in pairs]
    old_grace = before.get("terminationGracePeriodSeconds")
    if isinstance(old_grace, int) and old_grace < 0 and kept.get("terminationGracePeriodSeconds") == 1:
        kept["terminationGracePeriodSeconds"] = old_grace
    if before.get("schedulingGates"):
        # A pod that waits behind gates may still be told where it can go.
        for key in ("nodeSelector", "affinity"):
            if key in before:
                kept[key] = before[key]
            else:
                kept.pop(key, None)
    return kept
