"""What is wrong with probes and lifecycle hooks. Pure."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def probes(container: JSONObject, path: str, grace: int) -> Problems:
    """The three probes of a container."""
    found: Problems = []
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(key)
        if probe is not None:
            found += _probe(probe, f"{path}.{key}", grace)
            if key != "readinessProbe" and probe.get("successThreshold") != 1:
                text = "must be 1"
                found.append(fields.invalid(f"{path}.{key}.successThreshold", probe.get("successThreshold", 0), text))
            if key == "readinessProbe" and probe.get("terminationGracePeriodSeconds") is not None:
                value = probe["terminationGracePeriodSeconds"]
                text = "must not be set for readinessProbes"
                found.append(fields.invalid(f"{path}.{key}.terminationGracePeriodSeconds", value, text))
    return found


def _probe(probe: JSONObject, path: str, grace: int) -> Problems:
    found = _handler(probe, path, grace)
    for key in _COUNTS:
        found += checks.not_negative(probe.get(key, 0), f"{path}.{key}")
    seconds = probe.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        found.append(fields.invalid(f"{path}.terminationGracePeriodSeconds", seconds, "must be greater than 0"))
    return found


def lifecycle(hooks: JSONObject | None, path: str, grace: int) -> Problems:
    """postStart and preStop."""
    found: Problems = []
    for key in ("postStart", "preStop"):
        if hooks is not None and hooks.get(key) is not None:
            found += _handler(hooks[key], f"{path}.{key}", grace)
    return found


def _handler(handler: JSONObject, path: str, grace: int) -> Problems:
    """Exactly one way, and that one well formed."""
    found: Problems = []
    chosen = 0
    for key in _HANDLERS:
        action = handler.get(key)
        if action is None:
            continue
        chosen += 1
        if chosen > 1:
            found.append(fields.forbidden(f"{path}.{key}", "may not specify more than 1 handler type"))
            continue
        found += _action(key, action, f"{path}.{key}", grace)
    if not chosen:
        found.append(fields.required(path, "must specify a handler type"))
    return found


def _action(key: str, action: JSONObject, path: str, grace: int) -> Problems:
    if key == "exec":
        return [] if action.get("command") else [fields.required(f"{path}.command")]
    if key == "httpGet":
        return _http_get(action, path)
    if key == "tcpSocket":
        return checks.port_or_name(action.get("port", 0), f"{path}.port")
    if key == "grpc":
        return checks.port(action.get("port", 0), f"{path}.port")
    seconds = action.get("seconds", 0)
    if not 0 <= seconds <= (grace or 0):
        text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
        return [fields.invalid(path, seconds, text)]
    return []


def _http_get(action: JSONObject, path: str) -> Problems:
    found: Problems = []
    if not action.get("path"):
        found.append(fields.required(f"{path}.path"))
    found += checks.port_or_name(action.get("port", 0), f"{path}.port")
    scheme = action.get("scheme", "")
    if scheme not in ("HTTP", "HTTPS"):
        found.append(fields.not_supported(f"{path}.scheme", scheme, ["HTTP", "HTTPS"]))
    for header in action.get("httpHeaders") or ():
        name = header.get("name", "")
        found += named(names.http_header(name), name, f"{path}.httpHeaders")
    return found
