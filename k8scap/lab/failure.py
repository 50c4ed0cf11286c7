"""An error of ours on its way from one process to another: which it was, its sentence, its next step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap import errors

if TYPE_CHECKING:
    from collections.abc import Mapping


def to_plain(error: errors.K8scapError) -> dict[str, Any]:
    """The error as JSON can carry it."""
    return {"type": type(error).__name__, "values": vars(error)}


def from_plain(data: Mapping[str, Any]) -> errors.K8scapError:
    """The same error again; its constructor's own words are not needed, its values came along."""
    kind = getattr(errors, data["type"], errors.K8scapError)
    error: errors.K8scapError = kind.__new__(kind)
    error.__dict__.update(data["values"])
    return error
