"""Extension servers of this process: found by their APIService's Service like any other, spoken to without a socket.

They stand in for a Service that nobody has made. Once there is a Service of that name, requests go there instead.
"""

from __future__ import annotations

from typing import Any, Protocol

from kube_actors.api.messages import Answer, AnyAnswer, RawRequest, Request

JSONObject = dict[str, Any]
_PRIORITY = 100


class Extension(Protocol):
    """A server of one group version. Users are authenticated and authorised before it is asked."""

    @property
    def group(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def service(self) -> tuple[str, str]:
        """Namespace and name of the Service that it stands for."""
        ...

    async def resource(self, request: Request) -> AnyAnswer:
        """A request on one of its resources; raises ApiError."""
        ...

    async def document(self, request: RawRequest) -> Answer:
        """Discovery and OpenAPI."""
        ...


def api_service(extension: Extension, now: str, condition: JSONObject) -> JSONObject:
    """The APIService that an extension has while nobody has written another."""
    namespace, name = extension.service
    return {
        "metadata": {"name": f"{extension.version}.{extension.group}", "creationTimestamp": now},
        "spec": {
            "service": {"namespace": namespace, "name": name, "port": 443},
            "group": extension.group,
            "version": extension.version,
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": _PRIORITY,
            "versionPriority": _PRIORITY,
        },
        "status": {"conditions": [condition]},
    }
