"""Pod specs lately found to be in order, by their bytes: pods come by the thousand from one template.

Owns what is remembered and for how long. Only what had no problem is remembered, so nothing is ever refused from here.
The token volume that every pod gets has a random name; specs that differ in that alone are the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kube_actors.api import codec
from kube_actors.apiserver import limits
from kube_actors.apiserver.strategies import capabilities
from kube_actors.apiserver.strategies.checks import JSONObject, Problems

_TOKEN_VOLUME = re.compile(rb'"kube-api-access-[a-z0-9]{5}"')
_ANY = b'"*"'

_sound: set[tuple[bool, bytes]] = set()


def problems(spec: JSONObject, judge: Callable[[JSONObject, str], Problems]) -> Problems:
    """What judge says about the spec of a pod; it is not asked about a spec that it has found in order before."""
    encoded = codec.encode(spec)
    if len(encoded) > limits.KNOWN_SPEC_BYTES[1]:
        return judge(spec, "spec")
    named = _TOKEN_VOLUME.search(encoded)
    if named is not None and _ANY not in encoded:
        encoded = encoded.replace(named.group(), _ANY)
    key = (capabilities.privileged_allowed(), encoded)
    if key in _sound:
        return []
    found = judge(spec, "spec")
    if not found:
        if len(_sound) >= limits.KNOWN_SPECS:
            _sound.clear()
        _sound.add(key)
    return found
