"""Writes kube_actors/apiserver/tables/column_texts.json: the descriptions of fields that are columns of tables.

Read from the published schema (package kubernetes-validate); `--check` proves that writing again changes nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kube_actors.api import schema
from kube_actors.apiserver import tables

TARGET = Path(tables.__file__).with_name("column_texts.json")


def text_of(reference: str) -> str:
    """The text behind core.v1.PodSpec.nodeName."""
    group, version, kind, field = reference.split(".")
    prefix = "io.k8s.apimachinery.pkg.apis" if group == "meta" else "io.k8s.api"
    return schema.descriptions()[f"{prefix}.{group}.{version}.{kind}"].fields[field]


def main() -> int:
    references = {
        column.doc[1:]
        for printer in (*tables.PRINTERS.values(), tables.DEFAULT)
        for column in printer.columns
        if column.doc.startswith("=")
    }
    found = {reference: text_of(reference) for reference in sorted(references)}
    text = json.dumps(found, indent=0, ensure_ascii=False) + "\n"
    if "--check" in sys.argv:
        return int(TARGET.read_text() != text)
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
