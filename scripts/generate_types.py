"""Generate kube_actors/api/types/*.py and kube_actors/api/definitions.json from the published Kubernetes schema.

Owns the way from the JSON schema that the package kubernetes-validate ships to our frozen structs and to the
compact schema table. It never runs inside the product: what it writes is committed, and `--check` (used by CI)
proves that generating it again changes nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import keyword
import re
import sys
from pathlib import Path
from typing import Any

SCHEMA_VERSION = "v1.36.0"
ROOT = Path(__file__).resolve().parent.parent
TYPES = ROOT / "kube_actors" / "api" / "types"
TABLE = ROOT / "kube_actors" / "api" / "definitions.json"

SCALARS = {"Quantity": "quantity", "IntOrString": "intorstring", "Time": "time", "MicroTime": "microtime"}
PYTHON = {
    "string": "str", "bytes": "str", "int32": "int", "int64": "int", "double": "float", "bool": "bool",
    "quantity": "Quantity", "intorstring": "IntOrString", "time": "Time", "microtime": "Time",
    "any": "Any", "raw": "Any", "fields": "Any",
}  # fmt: skip
ZERO = {
    "str": '""',
    "int": "0",
    "float": "0.0",
    "bool": "False",
    "Quantity": '"0"',
    "IntOrString": "0",
    "Time": '""',
    "Any": "None",
}
# Go strings and numbers without a pointer: "" and 0 mean "not set", and every component reads these.
ZERO_VALUED = {
    "ObjectMeta": {"name", "generateName", "namespace", "uid", "resourceVersion", "generation"},
    "ListMeta": {"resourceVersion", "continue"},
}
# Struct fields that hold their zero value, not None, when absent, so that `pod.spec.nodeName` needs no check.
VALUE_FIELDS = {"metadata", "spec", "status"}
FREE_FORM = {"JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray", "Patch"}
# JSON names whose Python name already stands for another JSON name elsewhere; named where they occur.
EXPLICIT = {"Port", "$schema"}
SPELLED = {"openAPIV3Schema": "open_api_v3_schema"}
RESERVED = {*keyword.kwlist, "bool", "int", "str", "float", "dict", "tuple"}


def load_source() -> dict[str, Any] | None:
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "kubernetes-json-schema" / f"{SCHEMA_VERSION}-local"
    definitions: dict[str, Any] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    return definitions


def module_of(name: str) -> str:
    """`io.k8s.api.core.v1.Pod` lives in `core_v1`; `...apis.meta.v1.Time` in `meta_v1`."""
    parts = name.split(".")
    return parts[-2] if parts[-2] == "version" else f"{parts[-3]}_{parts[-2]}"


def attribute_name(json_name: str) -> str:
    """The Python name of a field: podCIDRs -> pod_cidrs, $ref -> ref, continue -> continue_."""
    if json_name in SPELLED:
        return SPELLED[json_name]
    name = json_name.lstrip("$").replace("-", "_")
    name = re.sub(r"([A-Z]{2,})s(?=[A-Z]|$)", lambda m: m.group(1).capitalize() + "s", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name).lower()
    return name + "_" if name in RESERVED else name


def kind_of(definition: dict[str, Any]) -> tuple[str, str, str] | None:
    """Group, version and kind of a top-level kind; None for every other definition."""
    kinds = definition.get("x-kubernetes-group-version-kind")
    properties = definition.get("properties", {})
    if not kinds or "kind" not in properties or "apiVersion" not in properties:
        return None
    first = next((k for k in kinds if k["group"] == ""), kinds[0])
    return first["group"], first["version"], first["kind"]


class Compiler:
    """Reads definitions; says the table type and the Python type of every field."""

    def __init__(self, source: dict[str, Any]) -> None:
        self.source = source

    def table_type(self, schema: dict[str, Any]) -> Any:
        """A scalar's name, {"ref": name}, {"list": type} or {"map": type}."""
        if "$ref" in schema:
            return self._reference(schema["$ref"].rsplit("/", 1)[1])
        declared = schema.get("type")
        kind = declared[0] if isinstance(declared, list) else declared
        if kind == "array":
            return {"list": self.table_type(schema["items"])}
        if kind == "object":
            return {"map": self.table_type(schema["additionalProperties"])}
        if kind == "string":
            return "bytes" if schema.get("format") == "byte" else "string"
        if kind == "integer":
            return schema.get("format", "int64")
        return {"boolean": "bool", "number": "double"}[str(kind)]

    def _reference(self, name: str) -> Any:
        short = name.rsplit(".", 1)[1]
        if short in SCALARS:
            return SCALARS[short]
        if short == "RawExtension":
            return "raw"
        if short == "FieldsV1":
            return "fields"
        return "any" if short in FREE_FORM else {"ref": name}

    def python_type(self, kind: Any) -> str:
        if isinstance(kind, str):
            return PYTHON[kind]
        if "list" in kind:
            return f"tuple[{self.python_type(kind['list'])}, ...]"
        if "map" in kind:
            return f"dict[str, {self.python_type(kind['map'])}]"
        return str(kind["ref"]).rsplit(".", 1)[1]

    def references(self, kind: Any) -> set[str]:
        if isinstance(kind, str):
            return set()
        if "ref" in kind:
            return {kind["ref"]}
        return self.references(kind.get("list", kind.get("map")))

    def structs(self) -> dict[str, dict[str, Any]]:
        skip = {*SCALARS, *FREE_FORM, "RawExtension", "FieldsV1"}
        return {n: d for n, d in self.source.items() if n.rsplit(".", 1)[1] not in skip}

    def value_reference(self, field: str, kind: Any) -> str | None:
        """The definition whose zero value this field holds when absent."""
        if field in VALUE_FIELDS and isinstance(kind, dict) and "ref" in kind:
            return str(kind["ref"])
        return None

    def zero(self, name: str) -> str:
        """Source text of the zero value of a struct, as Go would have it."""
        definition = self.source[name]
        arguments = []
        for field in sorted(definition.get("required", [])):
            kind = self.table_type(definition["properties"][field])
            if self.value_reference(field, kind) is None:
                arguments.append(f"{attribute_name(field)}={self.zero_of(kind)}")
        return f"{name.rsplit('.', 1)[1]}({', '.join(arguments)})"

    def zero_of(self, kind: Any) -> str:
        if isinstance(kind, str):
            return ZERO[PYTHON[kind]]
        if "list" in kind:
            return "()"
        return "{}" if "map" in kind else self.zero(kind["ref"])

    def zero_references(self, name: str) -> set[str]:
        """Every struct whose class must exist before this one, for its default values."""
        needed: set[str] = set()
        for field, schema in self.source[name].get("properties", {}).items():
            target = self.value_reference(field, self.table_type(schema))
            if target is not None:
                needed |= {target} | self.constructed(target)
        return needed

    def mentions(self, name: str) -> set[str]:
        """Every struct that the source text of this one mentions."""
        found = self.zero_references(name)
        for schema in self.source[name].get("properties", {}).values():
            found |= self.references(self.table_type(schema))
        return found

    def constructed(self, name: str) -> set[str]:
        found = self.zero_references(name)
        for field in self.source[name].get("required", []):
            kind = self.table_type(self.source[name]["properties"][field])
            if isinstance(kind, dict) and "ref" in kind:
                found |= {kind["ref"]} | self.constructed(kind["ref"])
        return found


class ModuleWriter:
    """Writes one module: every struct of one group version."""

    def __init__(self, compiler: Compiler, module: str, names: list[str]) -> None:
        self.compiler = compiler
        self.module = module
        self.names = names
        self.imports: dict[str, set[str]] = {}
        self.base: set[str] = {"Object"}
        self.written: set[str] = set()
        self.uses_any = False
        self.uses_kind = False
        self.uses_field = False

    def text(self) -> str:
        body = "\n".join(self._struct(name) for name in self._ordered())
        lines = [
            f"# Generated by scripts/generate_types.py from the Kubernetes {SCHEMA_VERSION} schema; do not edit.",
        ]
        typing_names = ["Any"] * self.uses_any + ["ClassVar"] * self.uses_kind
        if self.uses_kind:
            lines.append("from functools import partial")
        if typing_names:
            lines += [f"from typing import {', '.join(typing_names)}", ""]
        if self.uses_kind or self.uses_field:
            lines += ["from msgspec import field", ""]
        lines.append(f"from kube_actors.api.types._base import {', '.join(sorted(self.base))}")
        for module, names in sorted(self.imports.items()):
            lines.append(f"from kube_actors.api.types.{module} import {', '.join(sorted(names))}")
        lines.append("")
        exported = ",\n    ".join(f'"{n.rsplit(".", 1)[1]}"' for n in sorted(self.names))
        return "\n".join(lines) + body + f"\n\n__all__ = [\n    {exported},\n]\n"

    def _ordered(self) -> list[str]:
        """By name, except that a class comes after those that it mentions.

        So annotations need not be strings, which msgspec would have to compile again at run time: that takes
        most of the time of building a decoder."""
        done: list[str] = []
        visited: set[str] = set()

        def visit(name: str) -> None:
            if name in visited or name not in self.names:
                return
            visited.add(name)
            for needed in sorted(self.compiler.mentions(name)):
                visit(needed)
            done.append(name)

        for name in sorted(self.names):
            visit(name)
        return done

    def _struct(self, name: str) -> str:
        definition = self.compiler.source[name]
        own = name.rsplit(".", 1)[1]
        lines = ["", "", f"class {own}(Object, frozen=True, kw_only=True):"]
        gvk = kind_of(definition)
        if gvk is not None:
            self.uses_kind = True
            group, version, kind = gvk
            api_version = f"{group}/{version}" if group else version
            lines.append(f'    gvk: ClassVar[tuple[str, str, str]] = ("{group}", "{version}", "{kind}")')
            lines.append(f'    kind: str = field(default_factory=partial(str, "{kind}"))')
            lines.append(
                f'    api_version: str = field(default_factory=partial(str, "{api_version}"), name="apiVersion")'
            )
        properties = dict(definition.get("properties", {}))
        if gvk is not None:
            del properties["apiVersion"], properties["kind"]
        required = set(definition.get("required", []))
        for field, schema in sorted(properties.items(), key=lambda item: (item[0] != "metadata", item[0])):
            lines.append("    " + self._field(own, field, self.compiler.table_type(schema), field in required))
        if len(lines) == 3:
            lines.append("    pass")
        self.written.add(name)
        return "\n".join(lines)

    def _field(self, owner: str, name: str, kind: Any, required: bool) -> str:
        annotation = self.compiler.python_type(kind)
        optional = f"{annotation} | None"
        unwritten = {r for r in self.compiler.references(kind) if r in self.names} - self.written
        if unwritten:  # a definition that contains itself
            annotation, optional = f'"{annotation}"', f'"{optional}"'
        self._import(kind)
        attribute = attribute_name(name)
        target = self.compiler.value_reference(name, kind)
        if target is not None:
            zero = self.compiler.zero(target)
            for needed in self.compiler.constructed(target):
                if f"{needed.rsplit('.', 1)[1]}(" in zero:
                    self._import({"ref": needed})
            return f"{attribute}: {annotation} = {zero}"
        if name in EXPLICIT:
            self.uses_field = True
            if required:
                return f'{attribute}: {annotation} = field(name="{name}")'
            return f'{attribute}: {optional} = field(default=None, name="{name}")'
        if required:
            return f"{attribute}: {annotation}"
        if name in ZERO_VALUED.get(owner, ()):
            return f"{attribute}: {annotation} = {ZERO[annotation]}"
        if annotation == "Any":
            return f"{attribute}: Any = None"
        if isinstance(kind, dict) and "list" in kind:
            return f"{attribute}: {annotation} = ()"
        if isinstance(kind, dict) and "map" in kind:
            return f"{attribute}: {annotation} = {{}}"
        return f"{attribute}: {optional} = None"

    def _import(self, kind: Any) -> None:
        for reference in self.compiler.references(kind):
            if module_of(reference) != self.module:
                self.imports.setdefault(module_of(reference), set()).add(reference.rsplit(".", 1)[1])
        words = set(re.findall(r"\w+", self.compiler.python_type(kind)))
        self.base |= words & {"Quantity", "IntOrString", "Time"}
        self.uses_any |= "Any" in words


def rename_table(compiler: Compiler) -> dict[str, str]:
    """Every Python name that differs from its JSON name; one table for all structs, so it must be unambiguous."""
    names: dict[str, str] = {}
    for definition in compiler.structs().values():
        for field in definition.get("properties", {}):
            if field in EXPLICIT:
                continue
            known = names.setdefault(attribute_name(field), field)
            if known != field:
                raise SystemExit(f"{attribute_name(field)} stands for both {known} and {field}")
    return {python: name for python, name in sorted(names.items()) if python != name}


def table_entry(compiler: Compiler, definition: dict[str, Any]) -> dict[str, Any]:
    """One definition in the compact table; see kube_actors/api/schema.py for the reader."""
    entry: dict[str, Any] = {}
    kinds = definition.get("x-kubernetes-group-version-kind")
    if kinds:
        entry["gvk"] = [[k["group"], k["version"], k["kind"]] for k in kinds]
    if "x-kubernetes-map-type" in definition:
        entry["map_type"] = definition["x-kubernetes-map-type"]
    if "x-kubernetes-unions" in definition:
        entry["unions"] = definition["x-kubernetes-unions"]
    required = set(definition.get("required", []))
    fields = {}
    for name, schema in sorted(definition.get("properties", {}).items()):
        field: dict[str, Any] = {"type": compiler.table_type(schema)}
        if name in required:
            field["required"] = True
        for key in ("list-type", "list-map-keys", "map-type", "patch-strategy", "patch-merge-key"):
            if f"x-kubernetes-{key}" in schema:
                field[key.replace("-", "_")] = schema[f"x-kubernetes-{key}"]
        for key in ("default", "enum"):
            if key in schema and name not in ("apiVersion", "kind"):
                field[key] = schema[key]
        fields[name] = field
    entry["fields"] = fields
    return entry


def generate(source: dict[str, Any]) -> dict[Path, str]:
    compiler = Compiler(source)
    modules: dict[str, list[str]] = {}
    for name in compiler.structs():
        modules.setdefault(module_of(name), []).append(name)
    files = {TYPES / f"{m}.py": ModuleWriter(compiler, m, names).text() for m, names in modules.items()}
    names = "".join(f'    "{python}": "{name}",\n' for python, name in rename_table(compiler).items())
    files[TYPES / "_names.py"] = (
        f"# Generated by scripts/generate_types.py from the Kubernetes {SCHEMA_VERSION} schema; do not edit.\n"
        f"NAMES: dict[str, str] = {{\n{names}}}\n"
    )
    table = {n: table_entry(compiler, d) for n, d in sorted(compiler.structs().items())}
    kinds = {"/".join(gvk): name for name, entry in table.items() for gvk in entry.get("gvk", ())}
    files[TABLE] = (
        '{"kinds":{\n'
        + ",\n".join(f"{json.dumps(k)}:{json.dumps(n)}" for k, n in sorted(kinds.items()))
        + '\n},"definitions":{\n'
        + ",\n".join(f"{json.dumps(n)}:{json.dumps(e, separators=(',', ':'))}" for n, e in table.items())
        + "\n}}\n"
    )
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file would change")
    check = parser.parse_args().check
    source = load_source()
    if source is None:
        print("skipped: the package kubernetes-validate, the source of the types, is not installed")
        return 0 if check else 1
    files = generate(source)
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    gone = [path for path in TYPES.glob("*_v*.py") if path not in files]
    for path in stale + gone:
        print(f"{'differs' if check else 'written'}: {path.relative_to(ROOT)}")
    if check:
        return 1 if stale or gone else 0
    for path in stale:
        path.write_text(files[path])
    for path in gone:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
