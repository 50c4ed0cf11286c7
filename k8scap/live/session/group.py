"""The manifest over all recordings of a capture of several targets: NAME.json beside NAME.TARGET.json."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from k8scap.live.session import endings
from k8scap.model import CaptureManifest
from k8scap.recording import write_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.errors import K8scapError
    from k8scap.live.session.planning import Plan
    from k8scap.model import Manifest


def begin(plan: Plan, manifests: Sequence[Manifest]) -> None:
    """Write it as it is while they run, so that a killed capture has one too. Raises K8scapError."""
    place = plan.group
    if place is None:
        return
    over_all = CaptureManifest(
        name=place.name,
        started=datetime.now(UTC),
        recordings=tuple(_entry(manifest) for manifest in manifests),
        notes=plan.notes,
    )
    try:
        write_manifest(place.manifest, over_all)
    except OSError as error:
        raise endings.unwritten(place, error) from None


def forget(plan: Plan) -> None:
    """Remove it: the capture did not begin."""
    if plan.group:
        plan.group.manifest.unlink(missing_ok=True)


def save(
    plan: Plan, manifests: Sequence[Manifest], reason: str, notes: Sequence[str], news: Mapping[str, Any]
) -> K8scapError | None:
    """Write it; the error where that failed."""
    place = plan.group
    if place is None:
        return None
    place.release()
    whole = all(manifest.state == "complete" for manifest in manifests)
    over_all = CaptureManifest(
        name=place.name,
        started=min((m.started for m in manifests if m.started), default=None),
        ended=datetime.now(UTC),
        state="complete" if whole and not plan.notes else "incomplete",
        ended_by=reason,
        recordings=tuple(_entry(manifest) for manifest in manifests),
        names=tuple(news.get("names", ())),
        events=tuple(news.get("events", ())),
        dataplane=news.get("dataplane", {}),
        notes=(*notes, *news.get("notes", ())),
    )
    try:
        write_manifest(place.manifest, over_all)
    except OSError as error:
        return endings.unwritten(place, error)
    return None


def _entry(manifest: Manifest) -> dict[str, Any]:
    told = manifest.to_dict()
    return {key: told[key] for key in ("name", "point", "state", "ended_by", "files", "counters")}
