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
from kube_actors.apiserver.access import attributes
from kube_actors.apiserver.access.access import Access
from kube_actors.apiserver.access.flow import Schema
from kube_actors.apiserver.at_once import Reads
from kube_actors.apiserver.metrics import Metrics, Series
from kube_actors.wire import Headers, HttpRequest, HttpResponse

_SPECIAL = ("audit-id", "upgrade", "if-none-match")


LANES = 64
"""Collections of which one client's ways are remembered."""


class Lane(Struct, frozen=True):
    """What is the same for all of a user's reads of one collection, for as long as the priority levels are."""

    user: UserInfo
    version: int
    schema: Schema | None
    head: str
    series: Series


class Manners(Struct, frozen=True):
    """What a client's header lines say; `plain` if they ask for nothing but the object as it is."""

    plain: bool
    authorization: str | None
    accept: str
    content_type: str
    user_agent: str
    lanes: dict[str, Lane]


_ROUGH = Manners(False, None, "", "", "", {})


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
    content_type = headers.get("content-type") or JSON
    return Manners(True, headers.get("authorization"), accept or JSON, content_type, agent, {})


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
        collection = path[:cut]
        place = router.collection(collection)
        if place is None:
            return None
        headers = http.headers
        manners = headers.note
        if type(manners) is not Manners:
            manners = headers.note = manners_of(headers, self._looks_human)
        flowing = access.seeds.done
        if not manners.plain or (flowing and not access.flow.is_ready()):
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
        version = access.flow.version if flowing else -1
        lane = manners.lanes.get(collection)
        if lane is None or lane.user is not user or lane.version != version:
            lane = self._lane(manners, collection, request, version)
        schema = lane.schema
        if schema is not None and not access.flow.levels[schema.level].is_free:
            return None
        answer = self._reads(user, request)
        if answer is None:
            return None
        self._metrics.count(lane.series, self._clock.monotonic() - started)
        return HttpResponse(200, (), answer.body, f"Audit-Id: {self._entropy.uuid()}\r\n{lane.head}")

    def _lane(self, manners: Manners, collection: str, request: Request, version: int) -> Lane:
        """A new one. Namespaces stand in themselves, so that no two of them need belong to the same priority level."""
        schema = self._access.flow.schema_of(attributes.of(request)) if version >= 0 else None
        head = "Cache-Control: no-cache, private\r\nContent-Type: application/json\r\n"
        if schema is not None:
            head += schema.lines
        lane = Lane(request.user, version, schema, head, self._metrics.series(request, "GET", 200))
        if request.resource != "namespaces" or request.group:
            if len(manners.lanes) >= LANES:
                manners.lanes.clear()
            manners.lanes[collection] = lane
        return lane
