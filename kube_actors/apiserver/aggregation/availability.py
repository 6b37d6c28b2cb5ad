"""Whether the servers behind APIServices answer: the condition Available, kept up to date.

Sleeps while there is no such server. Publishes what extension servers need to trust this one. Owns the checks and
their words; asks through `passing`.
"""

from __future__ import annotations

import json
from typing import Any

import trio

from kube_actors.api import messages
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import RawRequest, Request
from kube_actors.apiserver import backends, encoding, limits
from kube_actors.apiserver.aggregation.book import GROUP, PREFIX, condition
from kube_actors.apiserver.bootstrap import IDENTITY, replace
from kube_actors.apiserver.core import Core
from kube_actors.apiserver.dispatch import dispatch
from kube_actors.store.contract import StoreError

JSONObject = dict[str, Any]
_CONFIG = "extension-apiserver-authentication"


async def run(core: Core) -> None:
    """Check until cancelled."""
    with trio.move_on_after(limits.QUIET_SECONDS):
        await core.aggregator.asked.wait()
    try:
        await publish(core)
        while True:
            stream = core.store.watch(PREFIX, after=core.store.revision)
            with stream:
                served = (await core.aggregator.remote()).values()
                remote = [each for each in served if "uid" in each["metadata"]]  # those that are stored
                async with trio.open_nursery() as nursery:
                    for service in remote:
                        nursery.start_soon(_check, core, service)
                with trio.move_on_after(limits.AVAILABILITY_SECONDS if remote else float("inf")):
                    await stream.receive_batch()
    except StoreError as error:
        core.system.story.tell("apiserver", "checks no more APIServices", detail=str(error))


async def publish(core: Core) -> None:
    """The ConfigMap by which extension servers know our certificates and headers."""
    if core.aggregator.front_proxy is None:
        return
    ca = core.aggregator.front_proxy().ca.decode()
    data = {
        "client-ca-file": ca,
        "requestheader-allowed-names": json.dumps(["front-proxy-client"]),
        "requestheader-client-ca-file": ca,
        "requestheader-extra-headers-prefix": json.dumps(["X-Remote-Extra-"]),
        "requestheader-group-headers": json.dumps(["X-Remote-Group"]),
        "requestheader-uid-headers": json.dumps(["X-Remote-Uid"]),
        "requestheader-username-headers": json.dumps(["X-Remote-User"]),
    }
    body = {"metadata": {"name": _CONFIG}, "data": data}
    try:
        await replace(core, "", "v1", "configmaps", "kube-system", body)
    except ApiError:
        return  # nobody can be told but those who look for it


async def _check(core: Core, service: JSONObject) -> None:
    status, reason, message = await _judge(core, service)
    conditions = (service.get("status") or {}).get("conditions") or []
    old: JSONObject = next((each for each in conditions if each.get("type") == "Available"), {})
    if (old.get("status"), old.get("reason"), old.get("message")) == (status, reason, message):
        return
    now = core.now_text()
    if old.get("status") == status:
        now = old.get("lastTransitionTime", now)
    patch = {"status": {"conditions": [condition(status, reason, message, now)]}}
    request = Request(
        verb="patch",
        group=GROUP,
        version="v1",
        resource="apiservices",
        name=service["metadata"]["name"],
        subresource="status",
        body=encoding.encode(patch),
        content_type=messages.MERGE_PATCH,
        user=IDENTITY,
    )
    try:
        await dispatch(core, request)
    except ApiError:
        return  # it has gone, or is being changed: the next look comes


async def _judge(core: Core, service: JSONObject) -> tuple[str, str, str]:
    """status, reason and message of the condition."""
    if await backends.extension(core, service) is not None:
        return "True", "Passed", "all checks passed"
    where = service["spec"]["service"]
    namespace, name, port = where["namespace"], where["name"], where.get("port") or 443
    known = f'service/{name} in "{namespace}"'
    found = await backends.service(core, namespace, name)
    if found is None:
        return "False", "ServiceNotFound", f"{known} is not present"
    if found["spec"].get("type") != "ExternalName":
        ports = [each for each in found["spec"].get("ports") or () if each["port"] == port]
        if not ports:
            return "False", "ServicePortError", f"{known} is not listening on port {port}"
        port_name = ports[0].get("name", "")
        if not await backends.addresses(core, namespace, name, port_name):
            text = f'endpointslices for {known} have no addresses with port name "{port_name}"'
            return "False", "MissingEndpoints", text
    return await _discovery(core, service)


async def _discovery(core: Core, service: JSONObject) -> tuple[str, str, str]:
    from kube_actors.apiserver.aggregation import passing  # lazy: TLS and HTTP, once there is somebody to ask

    spec = service["spec"]
    where = spec["service"]
    path = f"/apis/{spec['group']}/{spec['version']}"
    url = f"https://{where['name']}.{where['namespace']}.svc:{where.get('port') or 443}{path}"
    why = "context deadline exceeded"
    with trio.move_on_after(limits.EXTENSION_SECONDS):
        try:
            answer = await passing.get(core, service, path, RawRequest(path=path, user=IDENTITY))
        except ApiError as error:
            why = error.status.message
        else:
            if answer.status < 300 or answer.status in (401, 403):
                return "True", "Passed", "all checks passed"
            why = f"bad status from {url}: {answer.status}"
    return "False", "FailedDiscoveryCheck", f"failing or missing response from {url}: {why}"
