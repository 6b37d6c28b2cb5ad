"""HorizontalPodAutoscalers: read the target's scale, ask the metrics APIs, set the scale, say so in the status.

The plan is pure; it goes on as answers come in. What an autoscaler recommended and did lately is the controller's
memory, as it is upstream's: a new start forgets it, and only stabilises less for a while. Owns no arithmetic.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from kube_actors.api import conditions, quantity, selectors
from kube_actors.api.errors import ApiError
from kube_actors.api.selectors import Selector, SelectorError
from kube_actors.api.time import format_time
from kube_actors.api.types.autoscaling_v2 import (
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerCondition,
    HorizontalPodAutoscalerStatus,
    HPAScalingRules,
    MetricSpec,
)
from kube_actors.api.types.core_v1 import Pod
from kube_actors.client import Client, TransportError

from . import limits, proposals, scaling
from .autoscaler_memory import Memory, Rivals
from .contract import Action, Caches, Call, Emit, Outcome, Plan, Source, Told, Update
from .membership import pods_of
from .proposals import EMPTY, Offer, Reading, Scene, Trouble
from .replicas import Rules
from .scales import NoScale, Scaled, find_scale, rescale
from .scaling import Bounds, History

_ABLE, _ACTIVE, _LIMITED = "AbleToScale", "ScalingActive", "ScalingLimited"


class Settings(Struct, frozen=True, kw_only=True):
    """The options of kube-controller-manager: sync period, tolerance, delays and windows. Seconds."""

    period: float = limits.HPA_SYNC_SECONDS
    tolerance: float = limits.HPA_TOLERANCE
    cpu_initialization: float = limits.HPA_CPU_INITIALIZATION_SECONDS
    initial_readiness: float = limits.HPA_INITIAL_READINESS_SECONDS
    downscale_window: float = limits.HPA_DOWNSCALE_STABILIZATION_SECONDS


class Observed(Struct, frozen=True, kw_only=True):
    """An autoscaler whose time has come, or wait says in how many seconds it will.

    select gives the pods that a selector selects; rivals the selectors, by name, of the namespace's autoscalers that
    may select one of some pods.
    """

    autoscaler: HorizontalPodAutoscaler
    now: float
    wait: float = 0.0
    history: History = History()
    rivals: Callable[[Sequence[Pod]], Mapping[str, Selector]] = lambda members: {}
    select: Callable[[Selector], Sequence[Pod]] = lambda selector: ()
    settings: Settings = Settings()
    remember: Callable[[History | None, Selector | None], None] = lambda history, selector: None


def plan(observed: Observed) -> Plan:
    """Nothing before its time; else first of all the target's scale."""
    if observed.wait > 0.0:
        return Plan(requeue_after=observed.wait)
    target = observed.autoscaler.spec.scale_target_ref
    draft = _Draft(observed)
    api_version = target.api_version or ""
    if api_version.count("/") > 1:
        return draft.no_scale(f"unexpected GroupVersion string: {api_version}")
    group = api_version.rpartition("/")[0]
    namespace = observed.autoscaler.metadata.namespace

    async def ask(client: Client) -> Scaled | NoScale:
        try:
            return await find_scale(client, group, target.kind, namespace, target.name)
        except (ApiError, TransportError) as error:
            return NoScale(str(error))

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return draft.again()
        found = outcome.results[0]
        return draft.no_scale(found.text) if isinstance(found, NoScale) else _with_scale(draft, found)

    return Plan(actions=(Call(name="scale", ask=ask),), then=then)


class _Draft:
    """The status and the memory of one look, while the plan is being made. Nothing is shared or sent from here."""

    def __init__(self, observed: Observed) -> None:
        self.observed = observed
        self.history = observed.history
        self.selector: Selector | None = None
        self.status = observed.autoscaler.status
        self.events: list[Action] = []

    def say(self, kind: str, status: str, reason: str, message: str) -> None:
        new = HorizontalPodAutoscalerCondition(type=kind, status=status, reason=reason, message=message)
        now = format_time(self.observed.now)
        self.status = structs.replace(
            self.status, conditions=conditions.set_condition(self.status.conditions, new, now)
        )

    def tell(self, reason: str, message: str, kind: Any = "Warning") -> None:
        self.events.append(Emit(about=self.observed.autoscaler, type=kind, reason=reason, message=message))

    def no_scale(self, why: str) -> Plan:
        self.tell("FailedGetScale", why)
        text = f"the HPA controller was unable to get the target's current scale: {why}"
        self.say(_ABLE, "False", "FailedGetScale", text)
        return self.end()

    def again(self) -> Plan:
        return Plan(requeue_after=self.observed.settings.period, handled=True)

    def end(self) -> Plan:
        """What is to be told, remembered and written, and the next look."""
        autoscaler = self.observed.autoscaler
        actions = list(self.events)
        history, selector, remember = self.history, self.selector, self.observed.remember

        async def keep(_: Client) -> None:
            remember(history, selector)

        actions.append(Call(name="remember", ask=keep))
        if self.status != autoscaler.status:
            told = Told(about=autoscaler, failed_reason="FailedUpdateStatus", failed_message="{error}")
            wanted = structs.replace(autoscaler, status=self.status)
            actions.append(Update(obj=wanted, subresource="status", told=told, tolerate=("NotFound",)))
        return Plan(actions=tuple(actions), requeue_after=self.observed.settings.period)


def _with_scale(draft: _Draft, found: Scaled) -> Plan:
    """Out of bounds, the bounds decide; within them, the metrics."""
    observed = draft.observed
    spec = observed.autoscaler.spec
    draft.say(_ABLE, "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale")
    draft.history = scaling.first(draft.history, found.wanted, observed.now)
    least = _least(observed.autoscaler)
    if found.wanted == 0 and least != 0:
        text = "scaling is disabled since the replica count of the target is zero"
        draft.say(_ACTIVE, "False", "ScalingDisabled", text)
        return _stay(draft, found, ())
    if found.wanted > spec.max_replicas:
        return _go(draft, found, spec.max_replicas, "Current number of replicas above Spec.MaxReplicas", ())
    if found.wanted < least:
        return _go(draft, found, least, "Current number of replicas below Spec.MinReplicas", ())
    return _measure(draft, found)


def _least(autoscaler: HorizontalPodAutoscaler) -> int:
    least = autoscaler.spec.min_replicas
    return 1 if least is None else least


def _measure(draft: _Draft, found: Scaled) -> Plan:
    """Ask for every metric, once it is clear whose pods they are."""
    observed = draft.observed
    selected = _members(draft, found)
    if isinstance(selected, str):
        return _failed(draft, found, selected, observed.autoscaler.status.current_metrics[:0])
    autoscaler = observed.autoscaler
    specs = autoscaler.spec.metrics
    asks = tuple(Call(name=spec.type, ask=_asking(autoscaler, spec, found.selector)) for spec in specs)

    def then(outcome: Outcome) -> Plan:
        if outcome.error is not None:
            return draft.again()
        return _judge(draft, found, selected, outcome.results)

    return Plan(actions=asks, then=then)


def _asking(autoscaler: HorizontalPodAutoscaler, spec: MetricSpec, selector: str) -> Callable[[Client], Awaitable[Any]]:
    return lambda client: proposals.ask(client, autoscaler, spec, selector)


def _members(draft: _Draft, found: Scaled) -> Sequence[Pod] | str:
    """The target's pods, or why they cannot be told: a text that has been told already."""
    if not found.selector:
        draft.tell("SelectorRequired", "selector is required")
        draft.say(_ACTIVE, "False", "InvalidSelector", "the HPA target's scale is missing a selector")
        return "selector is required"
    try:
        selector = selectors.parse(found.selector)
    except SelectorError as error:
        text = f"couldn't convert selector into a corresponding internal selector object: {error}"
        draft.tell("InvalidSelector", text)
        draft.say(_ACTIVE, "False", "InvalidSelector", text)
        return text
    draft.selector = selector
    observed = draft.observed
    members = observed.select(selector)
    metadata = observed.autoscaler.metadata
    others = {**observed.rivals(members), metadata.name: selector}
    sharing = sorted(name for name, each in others.items() if any(each.matches(p.metadata.labels) for p in members))
    if len(sharing) > 1:
        names = " ".join(f"{metadata.namespace}/{name}" for name in sharing)
        text = f"pods by selector {found.selector} are controlled by multiple HPAs: [{names}]"
        draft.tell("AmbiguousSelector", text)
        draft.say(_ACTIVE, "False", "AmbiguousSelector", text)
        return text
    return members


def _judge(draft: _Draft, found: Scaled, members: Sequence[Pod], readings: Sequence[Reading]) -> Plan:
    """The most that any metric proposes; with some of them silent, at least what is there."""
    observed = draft.observed
    autoscaler = observed.autoscaler
    scene = Scene(wanted=found.wanted, there=found.there, members=members, rules=_rules(observed), now=observed.now)
    specs = autoscaler.spec.metrics
    offers = [proposals.judge(autoscaler, spec, reading, scene) for spec, reading in zip(specs, readings, strict=True)]
    troubles = [each for each in offers if isinstance(each, Trouble)]
    for trouble in troubles:
        draft.tell(trouble.reason, trouble.text)
    statuses = tuple(each.status if isinstance(each, Offer) else EMPTY for each in offers)
    best: Offer | None = None
    for each in offers:
        if isinstance(each, Offer) and (best is None or best.replicas == 0 or each.replicas > best.replicas):
            best = each
    whole = ""
    if troubles:
        count = f"{len(troubles)} invalid out of {len(specs)}"
        whole = f"invalid metrics ({count}), first error is: {troubles[0].whole}"
    if best is None or (troubles and best.replicas < found.wanted):
        if troubles:
            text = f"the HPA was unable to compute the replica count: {troubles[0].text}"
            draft.say(_ACTIVE, "False", troubles[0].reason, text)
        return _failed(draft, found, whole, statuses)
    text = f"the HPA was able to successfully calculate a replica count from {best.name}"
    draft.say(_ACTIVE, "True", "ValidMetricFound", text)
    return _follow(draft, found, best, statuses)


def _rules(observed: Observed) -> Rules:
    settings, behavior = observed.settings, observed.autoscaler.spec.behavior

    def tolerance(rules: HPAScalingRules | None) -> float:
        if rules is None or rules.tolerance is None:
            return settings.tolerance
        return float(quantity.parse(rules.tolerance).amount)

    return Rules(
        down=tolerance(behavior.scale_down if behavior is not None else None),
        up=tolerance(behavior.scale_up if behavior is not None else None),
        cpu_initialization=settings.cpu_initialization,
        initial_readiness=settings.initial_readiness,
    )


def _failed(draft: _Draft, found: Scaled, why: str, statuses: tuple[Any, ...]) -> Plan:
    draft.status = structs.replace(draft.status, current_replicas=found.wanted or None, current_metrics=statuses)
    draft.tell("FailedComputeMetricsReplicas", why)
    return draft.end()


def _follow(draft: _Draft, found: Scaled, best: Offer, statuses: tuple[Any, ...]) -> Plan:
    observed = draft.observed
    spec = observed.autoscaler.spec
    reason = ""
    if best.replicas > found.wanted:
        reason = f"{best.name} above target"
    elif best.replicas < found.wanted:
        reason = "All metrics below target"
    bounds = Bounds(
        least=_least(observed.autoscaler), most=spec.max_replicas, window=observed.settings.downscale_window
    )
    verdict, draft.history = scaling.normalized(
        spec.behavior, draft.history, found.wanted, best.replicas, bounds, observed.now
    )
    draft.say(_ABLE, "True", *verdict.able)
    draft.say(_LIMITED, "True" if verdict.limited else "False", *verdict.limit)
    if verdict.replicas == found.wanted:
        return _stay(draft, found, statuses)
    return _go(draft, found, verdict.replicas, reason, statuses)


def _stay(draft: _Draft, found: Scaled, statuses: tuple[Any, ...]) -> Plan:
    draft.status = _numbers(draft.status, found.wanted, found.wanted, statuses)
    return draft.end()


def _numbers(
    status: HorizontalPodAutoscalerStatus, current: int, desired: int, statuses: tuple[Any, ...]
) -> HorizontalPodAutoscalerStatus:
    return structs.replace(status, current_replicas=current or None, desired_replicas=desired, current_metrics=statuses)


def _go(draft: _Draft, found: Scaled, replicas: int, reason: str, statuses: tuple[Any, ...]) -> Plan:
    """Set the scale, and say what came of it."""
    observed = draft.observed

    async def ask(client: Client) -> str:
        try:
            await rescale(client, found, replicas)
        except (ApiError, TransportError) as error:
            return str(error) or "the target could not be scaled"
        return ""

    def then(outcome: Outcome) -> Plan:
        why = outcome.results[0] if outcome.results else str(outcome.error)
        if why:
            draft.tell("FailedRescale", f"New size: {replicas}; reason: {reason}; error: {why}")
            text = f"the HPA controller was unable to update the target scale: {why}"
            draft.say(_ABLE, "False", "FailedUpdateScale", text)
            draft.status = structs.replace(draft.status, current_replicas=found.wanted or None)
            return draft.end()
        text = f"the HPA controller was able to update the target scale to {replicas}"
        draft.say(_ABLE, "True", "SucceededRescale", text)
        draft.tell("SuccessfulRescale", f"New size: {replicas}; reason: {reason}", "Normal")
        draft.history = scaling.scaled(
            draft.history, observed.autoscaler.spec.behavior, found.wanted, replicas, observed.now
        )
        numbers = _numbers(draft.status, found.wanted, replicas, statuses)
        draft.status = structs.replace(numbers, last_scale_time=format_time(observed.now))
        return draft.end()

    return Plan(actions=(Call(name="rescale", ask=ask),), then=then)


class Autoscalers:
    """The HorizontalPodAutoscaler controller."""

    name = "horizontal-pod-autoscaler-controller"
    component = "horizontal-pod-autoscaler"
    workers = 5

    def __init__(self, settings: Settings = Settings()) -> None:  # noqa: B008 - frozen
        self._settings = settings
        self._memory: dict[str, Rivals] = {}

    def sources(self) -> tuple[Source, ...]:
        return (
            Source(kind=HorizontalPodAutoscaler, change=_keys_of_change),
            Source(kind=Pod, indexes=(pods_of.index,)),
        )

    def initial(self, caches: Caches) -> Iterable[str]:
        return [f"{a.metadata.namespace}/{a.metadata.name}" for a in caches.list(HorizontalPodAutoscaler)]

    def observe(self, key: str, caches: Caches, now: float) -> Observed | None:
        autoscaler = caches.get(HorizontalPodAutoscaler, key)
        namespace, _, name = key.partition("/")
        around = self._memory.setdefault(namespace, Rivals())
        if autoscaler is None:
            around.forget(name)
            if not around.known:
                del self._memory[namespace]
            return None
        known = around.known.get(name)
        if known is None:
            known = around.known[name] = Memory(now + self._settings.period)
        # A clock that was set back delays a look by one period, not by as much as it was set back.
        known.due = min(known.due, now + self._settings.period)
        if known.due > now:
            return Observed(autoscaler=autoscaler, now=now, wait=known.due - now)
        known.due = now + self._settings.period
        memory = known

        def remember(history: History | None, selector: Selector | None) -> None:
            memory.history = history or memory.history
            if selector is not None:
                around.file(name, selector)

        return Observed(
            autoscaler=autoscaler,
            now=now,
            history=memory.history,
            rivals=around.rivals,
            select=lambda selector: pods_of(caches, namespace, selector),
            settings=self._settings,
            remember=remember,
        )

    def plan(self, observed: Observed) -> Plan:
        return plan(observed)


def _keys_of_change(
    old: HorizontalPodAutoscaler | None, new: HorizontalPodAutoscaler | None, _: Caches
) -> tuple[str, ...]:
    """Only coming and going is news: everything else is seen when the time has come."""
    if old is not None and new is not None and old.metadata.uid == new.metadata.uid:
        return ()
    obj = new or old
    return () if obj is None else (f"{obj.metadata.namespace}/{obj.metadata.name}",)
