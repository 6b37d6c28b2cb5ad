"""Label and field selectors of one list, watch or deletecollection.

Owns which fields a kind can be selected by and the texts for those it cannot. Syntax is `api.selectors`'s.
"""

from __future__ import annotations

from msgspec import Struct

from kube_actors.api import errors, selectors
from kube_actors.api.selectors import FieldSelector, Selector, SelectorError
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.facets import Facets
from kube_actors.apiserver.kinds import Kind

METADATA_FIELDS = ("metadata.name", "metadata.namespace")


class Selection(Struct, frozen=True):
    """What the request wants to see. Truthy when it leaves anything out."""

    labels: Selector
    fields: FieldSelector

    def __bool__(self) -> bool:
        return bool(self.fields.terms) or not self.labels.is_everything

    @property
    def namespace(self) -> str:
        """The one namespace that field selectors allow, "" for any."""
        return self.fields.required("metadata.namespace") or ""

    def nothing(self, namespace: str) -> bool:
        """Whether the path's namespace rules out everything."""
        wanted = self.namespace
        return bool(wanted and namespace and wanted != namespace)

    def matches(self, facets: Facets) -> bool:
        if not self.labels.matches(facets.labels):
            return False
        known = facets.fields
        for term in self.fields.terms:  # noqa: SIM110 - all() with a generator takes twice as long
            if (known.get(term.field, "") == term.value) is not term.equal:
                return False
        return True


EVERYTHING = Selection(selectors.EVERYTHING, FieldSelector())


def selection_of(call: Call) -> Selection:
    """The request's selectors, with a name in the path as one more; a 400 when one cannot be understood."""
    options = call.options
    if not (options.label_selector or options.field_selector or call.name):
        return EVERYTHING
    try:
        labels = selectors.parse(options.label_selector)
        fields = selectors.parse_fields(options.field_selector)
    except SelectorError as error:
        raise errors.bad_request(str(error)) from None
    for term in fields.terms:
        check_field(call.kind, term.field)
    if call.name:
        fields = FieldSelector((*fields.terms, selectors.FieldTerm("metadata.name", call.name)))
    return Selection(labels, fields)


def check_field(kind: Kind, field: str) -> None:
    """Refuse a field by which the kind cannot be selected, in the words that its group uses."""
    if field in kind.strategy.selectable or field == "metadata.name":
        return
    if field == "metadata.namespace" and (kind.namespaced or not kind.strategy.selectable):
        return
    resource = kind.resource
    if kind.strategy.field_complaint:
        raise errors.bad_request(
            kind.strategy.field_complaint.format(field=field, kind=resource.kind, api_version=resource.api_version)
        )
    raise errors.bad_request(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')
