"""The short way through the HTTP face, for a read that nothing has to be waited for.

Owns what is remembered of a client's header lines, and the order of the way: who asks, what, which priority, the
answer, its head. Whatever is out of the ordinary (an audit log, impersonation, another form than plain JSON, a token
that has to be verified, a refusal, a full priority level) gets None and goes the whole way, in the same words.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from kube_actors.actors import System
from kube_actors.actors.entropy import Entropy
from kube_actors.api.errors import ApiError
from kube_actors.api.messages import JSON, Request, UserInfo
from kube_actors.apiserver import negotiation, router
from kube_actors.apiserver.access.access import Access
from kube_actors.apiserver.access.attributes import Attributes
from kube_actors.apiserver.at_once import Reads
from kube_actors.apiserver.metrics import Metrics
from kube_actors.wire import Headers, HttpRequest, HttpResponse

_SPECIAL = ("audit-id", "upgrade", "if-none-match")


class Manners(Struct, frozen=True):
    """What a client's header lines say; `plain` if they ask for nothing but the object as it is."""

    plain: bool
    authorization: str | None
    accept: str
    content_type: str
    user_agent: str


_ROUGH = Manners(False, None, "", "", "")


def manners_of(headers: Headers, looks_human: Callable[[str], bool]) -> Manners:
    """Read once for as long as the client repeats its lines."""
    if any(name in headers for name in _SPECIAL) or headers.starting("impersonate-"):
        return _ROUGH
    agent, accept = headers.get("user-agent") or "", ", ".join(headers.get_all("accept"))
    try:
        if looks_human(agent) or negotiation.choose(accept) != negotiation.PLAIN:
            return _ROUGH
    except ApiError:
        return _ROUGH
    return Manners(True, headers.get("authorization"), accept or JSON, headers.get("content-type") or JSON, agent)


class Express:
    """See the module. `reads` may go to another server every time."""

    def __init__(
        self,
        reads: Reads,
        access: Access,
        metrics: Metrics,
        system: System,
        entropy: Entropy,
        looks_human: Callable[[str], bool],
    ) -> None:
        self._reads = reads
        self._access = access
        self._metrics = metrics
        self._clock = system.clock
        self._entropy = entropy
        self._looks_human = looks_human

    def __call__(self, http: HttpRequest) -> HttpResponse | None:
        """The answer, or None."""
        access = self._access
        if http.method != "GET" or http.query or access.audit is not None or http.content:
            return None
        path = http.path
        cut = path.rfind("/")
        if cut <= 0 or "%" in path or cut + 1 == len(path):
            return None
        place = router.collection(path[:cut])
        if place is None:
            return None
        headers = http.headers
        manners = headers.note
        if type(manners) is not Manners:
            manners = headers.note = manners_of(headers, self._looks_human)
        if not manners.plain:
            return None
        started = self._clock.monotonic()
        try:
            user = access.authenticator.authenticate(http.certificate, manners.authorization)
        except ApiError:
            return None
        request = Request(
            verb="get",
            group=place.group,
            version=place.version,
            resource=place.resource,
            namespace=place.namespace,
            name=path[cut + 1 :],
            content_type=manners.content_type,
            accept=manners.accept,
            user=user,
            user_agent=manners.user_agent,
        )
        flow = self._flow(user, request)
        if flow is None:
            return None
        answer = self._reads(user, request)
        if answer is None:
            return None
        lines = (
            f"Audit-Id: {self._entropy.uuid()}\r\nCache-Control: no-cache, private\r\n"
            f"Content-Type: application/json\r\n{flow}"
        )
        self._metrics.observe(request, "GET", 200, self._clock.monotonic() - started)
        return HttpResponse(200, (), answer.body, lines)

    def _flow(self, user: UserInfo, request: Request) -> str | None:
        """The header lines of its priority level; None when it has to wait for a seat, or to be classified."""
        access = self._access
        if not access.seeds.done:
            return ""
        if not access.flow.is_ready():
            return None
        namespace = request.name if request.resource == "namespaces" and not request.group else request.namespace
        return access.flow.lines_at_once(
            Attributes(
                user=user,
                verb="get",
                group=request.group,
                version=request.version,
                resource=request.resource,
                namespace=namespace,
                name=request.name,
            )
        )
