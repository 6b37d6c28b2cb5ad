"""Reads workload files in scheduler_perf's format: a list of test cases, each with operations and sized workloads.

Owns reading and refusing: the chosen workload comes out as a `Plan` whose parameters are put in and whose templates
are read. Never runs anything. Only the chosen test case is read to its depths, so that a file may hold others that
need what is not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import Struct, structs

from kube_actors.api.codec import CodecError
from kube_actors.api.manifests import load_documents

from .errors import WorkloadError
from .operations import (
    OPERATIONS,
    CreatePods,
    CreatePodSets,
    Operation,
    Sleep,
    problem,
)
from .templates import Template

T = TypeVar("T")
O = TypeVar("O", bound=Operation)


class Workload(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One size of a test case."""

    name: str
    params: dict[str, Any] = {}
    labels: list[str] = []
    threshold: float | dict[str, float] = 0.0
    threshold_metric_selector: dict[str, Any] = {}
    feature_gates: dict[str, bool] = {}


class TestCase(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What is done, for every workload of it. Feature gates are read and not used: ours are those of one version."""

    name: str
    workload_template: list[dict[str, Any]]
    workloads: list[Any]
    labels: list[str] = []
    default_pod_template_path: str = ""
    scheduler_config_path: str = ""
    feature_gates: dict[str, bool] = {}
    metrics_collector_config: dict[str, Any] = {}
    default_threshold_metric_selector: dict[str, Any] = {}


class Step(Struct, frozen=True):
    """One operation to run: its index in the test case, its parameters put in, its templates by path."""

    index: int
    op: Operation
    templates: dict[str, Template]


class Plan(Struct, frozen=True):
    """One workload, ready to run."""

    name: str
    labels: tuple[str, ...]
    threshold: float
    steps: tuple[Step, ...]


class WorkloadFile:
    """A file of test cases. Raises WorkloadError for everything in it that cannot be meant."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise WorkloadError(f"{path}: cannot be read: {reason}") from None
        try:
            documents = load_documents(text, strict=True)
        except CodecError as error:
            raise WorkloadError(f"{path}: {error}") from None
        if len(documents) != 1 or not isinstance(documents[0], list):
            raise WorkloadError(f"{path}: a list of test cases is expected")
        self._lines = dict(_lines(yaml.compose(text, Loader=yaml.SafeLoader), ()))
        self._cases: list[Any] = documents[0]
        for index, case in enumerate(self._cases):
            if not isinstance(case, dict) or not isinstance(case.get("name"), str):
                raise self.refuse((index,), "a test case with a name is expected")

    def names(self) -> list[str]:
        """Every workload of the file, as `plan` takes it."""
        return [
            f"{case['name']}/{workload['name']}"
            for case in self._cases
            for workload in case.get("workloads") or []
            if isinstance(workload, dict) and "name" in workload
        ]

    def plan(self, name: str) -> Plan:
        """The workload of this name: "SchedulingBasic/500Nodes"."""
        wanted, _, size = name.partition("/")
        at = next((index for index, case in enumerate(self._cases) if case["name"] == wanted), None)
        if at is None or not size:
            known = ", ".join(self.names())
            raise WorkloadError(f"{self.path}: there is no workload {name!r} (NAME/CASE); known are {known}")
        case = self.convert(self._cases[at], TestCase, (at,))
        workloads = [
            self.convert(each, Workload, (at, "workloads", index)) for index, each in enumerate(case.workloads)
        ]
        chosen = next((each for each in workloads if each.name == size), None)
        if chosen is None:
            known = ", ".join(each.name for each in workloads)
            raise self.refuse((at, "workloads"), f"{wanted} has no case {size!r}; known are {known}")
        if case.scheduler_config_path:
            raise self.refuse((at, "schedulerConfigPath"), "only the default profile is measured")
        return _Planner(self, (at,), case, chosen).plan()

    def refuse(self, place: tuple[Any, ...], why: str) -> WorkloadError:
        """An error that names the file, the line of the place, or of the nearest one around it, and the field."""
        line = next(self._lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in self._lines)
        return WorkloadError(f"{self.path}:{line}: {_field(place)}{': ' if place else ''}{why}")

    def convert(self, value: Any, kind: type[T], place: tuple[Any, ...]) -> T:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            why, _, inner = str(error).partition(" - at `$")
            deeper = (int(word) if word.isdigit() else word for word in re.findall(r"\w+", inner))
            raise self.refuse((*place, *deeper), why[0].lower() + why[1:]) from None

    def template(self, text: str, place: tuple[Any, ...]) -> Template:
        """A template by its path: relative to this file, or to the folder around it as older files have it."""
        beside, above = self.path.parent / text, self.path.parent.parent / text
        path = above if not beside.exists() and above.exists() else beside
        if not path.exists():
            raise self.refuse(place, f"there is no template {path}")
        return Template.read(path, _field(place))


class _Planner:
    """Puts one workload's parameters into its test case's operations."""

    def __init__(self, file: WorkloadFile, place: tuple[Any, ...], case: TestCase, workload: Workload) -> None:
        self._file = file
        self._place = (*place, "workloadTemplate")
        self._case = case
        self._workload = workload
        self._used: set[str] = set()

    def plan(self) -> Plan:
        steps: list[Step] = []
        for index, raw in enumerate(self._case.workload_template):
            steps += self._steps(index, raw)
        unused = sorted(set(self._workload.params) - self._used)
        if unused:
            place = (self._place[0], "workloads", self._case.workloads.index(_named(self._case, self._workload.name)))
            raise self._file.refuse((*place, "params"), f"{', '.join(unused)}: used by no operation")
        threshold = self._workload.threshold
        return Plan(
            name=f"{self._case.name}/{self._workload.name}",
            labels=tuple(dict.fromkeys([*self._case.labels, *self._workload.labels])),
            threshold=max(threshold.values(), default=0.0) if isinstance(threshold, dict) else threshold,
            steps=tuple(steps),
        )

    def _steps(self, index: int, raw: Mapping[str, Any]) -> Iterator[Step]:
        place = (*self._place, index)
        op = self._operation(raw, place)
        if not isinstance(op, CreatePodSets):
            yield self._step(index, op, place)
            return
        inner = self._filled(op.create_pods_op, (*place, "createPodsOp"))
        for number in range(op.count):
            placed = structs.replace(inner, namespace=f"{op.namespace_prefix}-{number}")
            yield self._step(index, placed, (*place, "createPodsOp"))

    def _operation(self, raw: Mapping[str, Any], place: tuple[Any, ...]) -> Operation:
        code = raw.get("opcode")
        kind = OPERATIONS.get(code) if isinstance(code, str) else None
        if kind is None:
            known = ", ".join(OPERATIONS)
            raise self._file.refuse((*place, "opcode"), f"unknown opcode {code!r}; known are {known}")
        return self._filled(self._file.convert(raw, kind, place), place)

    def _filled(self, op: O, place: tuple[Any, ...]) -> O:
        """The operation with its parameters put in, and checked."""
        values: dict[str, Any] = {}
        for field, param, kind in (
            ("count", "count_param", int),
            ("steady_state", "steady_state_param", bool),
            ("duration", "duration_param", str),
        ):
            name = getattr(op, param, "")
            if name:
                values[field] = self._param(name, kind, (*place, _camel(param)))
        if isinstance(op, CreatePods) and op.count_multiplier_param:
            factor = self._param(op.count_multiplier_param, int, (*place, "countMultiplierParam"))
            values["count"] = values.get("count", op.count) * factor
        given = getattr(op, "template_params", {})
        if given:
            values["template_params"] = {
                key: self._param(value, object, (*place, "templateParams", key)) if _is_param(value) else value
                for key, value in given.items()
            }
        filled = structs.replace(op, **values)
        why = problem(filled)
        if why:
            raise self._file.refuse(place, why)
        self._check_duration(filled, place)
        return filled

    def _check_duration(self, op: Operation, place: tuple[Any, ...]) -> None:
        if isinstance(op, Sleep) or (isinstance(op, CreatePods) and op.steady_state):
            try:
                positive = seconds(op.duration) > 0
            except ValueError as error:
                raise self._file.refuse((*place, "duration"), str(error)) from None
            if isinstance(op, CreatePods) and not positive:
                raise self._file.refuse((*place, "duration"), "must be more than 0 in a steady state")

    def _param(self, name: str, kind: type[Any], place: tuple[Any, ...]) -> Any:
        if not _is_param(name):
            raise self._file.refuse(place, f"{name!r} does not begin with $")
        word = name[1:]
        if word not in self._workload.params:
            known = ", ".join(self._workload.params) or "none"
            raise self._file.refuse(
                place, f"the workload {self._workload.name} has no parameter {word!r}; it has {known}"
            )
        self._used.add(word)
        value = self._workload.params[word]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self._file.refuse(place, f"parameter {word!r} is {value!r}, where {kind.__name__} is expected")
        return value

    def _step(self, index: int, op: Operation, place: tuple[Any, ...]) -> Step:
        default = None
        if isinstance(op, CreatePods) and not op.pod_template_path and self._case.default_pod_template_path:
            default = (*self._place[:1], "defaultPodTemplatePath")
            op = structs.replace(op, pod_template_path=self._case.default_pod_template_path)
        if isinstance(op, CreatePods) and not op.pod_template_path:
            raise self._file.refuse(place, "no podTemplatePath, and the test case has no defaultPodTemplatePath")
        templates: dict[str, Template] = {}
        for field in op.__struct_fields__:
            if field.endswith("template_path") and getattr(op, field):
                path = getattr(op, field)
                templates[path] = self._file.template(path, default or (*place, _camel(field)))
        for number, path in enumerate(getattr(op, "template_paths", ())):
            templates[path] = self._file.template(path, (*place, "templatePaths", number))
        return Step(index, op, templates)


def seconds(text: str) -> float:
    """A duration as Go writes it: "1m30s", "500ms". Raises ValueError."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|us|ns|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 1m30s or 500ms")
    return sum(float(number) * units[unit] for number, unit in parts)


def _lines(node: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Where every place of a document stands: (0, "workloads", 2) and its line."""
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*place, key.value), key.start_mark.line + 1
            yield from (
                (inner, line) for inner, line in _lines(value, (*place, key.value)) if len(inner) > len(place) + 1
            )
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, (*place, index))


def _named(case: TestCase, name: str) -> Any:
    return next(each for each in case.workloads if each["name"] == name)


def _is_param(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("$")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _field(place: tuple[Any, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".")
