"""What kinds may do differently, with what most of them do.

A strategy is pure: it reads and completes the dict it is given (a fresh one, the request's own) and never waits, looks
at a clock or stores anything. The generic registry calls it in this order: `default`, admission, `prepare_create` or
`prepare_update`, `validate_create` or `validate_update`, `warnings`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from kube_actors.api import names
from kube_actors.api.field_errors import FieldError

JSONObject = dict[str, Any]
Problems = list[FieldError]
Selectable = Mapping[str, Callable[[JSONObject], str]]
"""Field labels, and how to read the value of each."""


class Strategy:
    """The behaviour of a kind that has none of its own."""

    generation: ClassVar[bool] = False
    """Whether metadata.generation counts changes of the desired state."""

    create_on_update: ClassVar[bool] = False
    """Whether a PUT of an object that is not there creates it."""

    unconditional_update: ClassVar[bool] = True
    """Whether a PUT may leave resourceVersion out."""

    returns_deleted: ClassVar[bool] = False
    """Whether deleting answers with the object rather than a Status."""

    orphans_by_default: ClassVar[bool] = False

    resets_status: ClassVar[bool] = True
    """Whether a status sub-resource, where there is one, keeps status out of ordinary writes."""

    selectable: Selectable = {}
    """Field labels beyond metadata.name and metadata.namespace, and how to read them."""

    deprecation: str = ""
    """A warning that goes with every answer about this kind."""

    keeps_status_on_create: ClassVar[bool] = False
    """Whether a create may bring a status although there is a sub-resource for it."""

    field_complaint: ClassVar[str] = ""
    """The text for a field label that this kind does not know; "" for the general one."""

    errors_of: ClassVar[str] = ""
    """The kind that an Invalid answer names, where it is not the one that was asked about."""

    core_finalizers: ClassVar[bool] = True
    """Whether a finalizer without a domain has to be one of Kubernetes' own."""

    molded: ClassVar[bool] = False
    """Whether objects come by the thousand from one body, so that it pays to look for an earlier one (`molds`)."""

    def name_problems(self, name: str) -> list[str]:
        """What is wrong with a name of this kind."""
        return names.dns_subdomain(name)

    def default(self, obj: JSONObject) -> None:
        """Fill in what Kubernetes defaults on decoding."""

    def default_status(self, obj: JSONObject) -> None:
        """Fill in the status alone, of an object whose other parts are as they are stored."""
        self.default(obj)

    def prepare_create(self, obj: JSONObject) -> None:
        """Settle what clients may not choose."""

    def prepare_update(self, new: JSONObject, old: JSONObject) -> None:
        """Carry over what an ordinary update may not change."""

    def prepare_status(self, new: JSONObject, old: JSONObject) -> None:
        """Carry over what a status update may not change, beyond everything but metadata and status."""

    def validate(self, obj: JSONObject) -> Problems:
        """What is wrong with the object in itself."""
        return []

    def validate_create(self, obj: JSONObject) -> Problems:
        return self.validate(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return self.validate(new)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return []

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        """Texts for Warning headers."""
        return []

    def desired(self, obj: JSONObject) -> Any:
        """The part whose change bumps metadata.generation."""
        return obj.get("spec")

    def begins_deletion(self, obj: JSONObject, now: str) -> bool:
        """Whether deleting only marks the object, which this then has done; something else ends it later."""
        return False

    def grace_seconds(self, obj: JSONObject, asked: int | None) -> int | None:
        """Seconds that a delete leaves the object; None where deletion is never graceful."""
        return None
