"""What can go wrong on the way to the API server.

An answer of the server that says no is an `ApiError` (kube_actors.api.errors), whatever the transport. What stands
here is the way itself: no connection, no answer in time, an answer that is none.
"""

from __future__ import annotations


class ClientError(Exception):
    """Base of this package's exceptions."""


class TransportError(ClientError):
    """No usable answer came. Whether the request was carried out is not known unless a subclass says so."""


class Unavailable(TransportError):
    """The server cannot be reached or went away; trying again later makes sense."""


class TransportTimeout(TransportError):
    """No answer came within the named time."""


class ProtocolError(TransportError):
    """What came back is not what Kubernetes would send."""


class UnknownKind(ClientError):
    """Neither the built-in kinds nor the server's discovery know this kind."""

    def __init__(self, kind: str) -> None:
        super().__init__(f'the server does not have a resource type "{kind}"')
        self.kind = kind


class QueueShutDown(ClientError):
    """The work queue is shut down and empty."""

    def __init__(self, name: str) -> None:
        super().__init__(f"work queue {name!r} is shut down")


class LeadershipLost(ClientError):
    """The lease could not be renewed in time; whoever held it must stop."""


class KubeconfigError(ClientError):
    """A kubeconfig cannot be used; the message names the file and the field."""
