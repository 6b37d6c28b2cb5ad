"""FlowSchema and PriorityLevelConfiguration."""

from __future__ import annotations

from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies import flow_validation as rules
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Strategy


class FlowSchemaStrategy(Strategy):
    """FlowSchema."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        obj["spec"].setdefault("matchingPrecedence", 1000)

    def validate(self, obj: JSONObject) -> Problems:
        return rules.flow_schema(obj)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return checks.conditions((new.get("status") or {}).get("conditions"), "status.conditions")


class PriorityLevelStrategy(Strategy):
    """PriorityLevelConfiguration."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        limited = obj["spec"].get("limited")
        if limited is not None:
            limited.setdefault("nominalConcurrencyShares", 30)
            limited.setdefault("lendablePercent", 0)
            queuing = (limited.get("limitResponse") or {}).get("queuing")
            if queuing is not None:
                for key, value in (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)):
                    if not queuing.get(key):
                        queuing[key] = value
        exempt = obj["spec"].get("exempt")
        if exempt is not None:
            exempt.setdefault("nominalConcurrencyShares", 0)
            exempt.setdefault("lendablePercent", 0)

    def validate(self, obj: JSONObject) -> Problems:
        return rules.priority_level(obj)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return checks.conditions((new.get("status") or {}).get("conditions"), "status.conditions")
