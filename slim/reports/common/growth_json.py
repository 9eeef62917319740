"""Growth as JSON, the same in the reports of ``slim check`` and ``slim diff``."""

from __future__ import annotations

from slim.model.diff import Change, OwnerChange, PlaceChange, Remark
from slim.reports.common.json_parts import optional_footprint
from slim.system.json_text import Json, named, prose


def change_document(key: str, change: Change) -> Json:
    """Return sizes before and after, with the label under ``key``."""
    return {
        key: prose(change.label),
        "before": optional_footprint(change.before),
        "after": optional_footprint(change.after),
    }


def owner_document(owner: OwnerChange) -> Json:
    """Return the growth of one owner, with categories, places and explanations."""
    return {
        "owner": prose(owner.name),
        "versions_before": [prose(version) for version in owner.versions_before],
        "versions_after": [prose(version) for version in owner.versions_after],
        "before": optional_footprint(owner.before),
        "after": optional_footprint(owner.after),
        "categories": [change_document("category", change) for change in owner.categories],
        "places": [_place(place) for place in owner.places],
        "remarks": [remark_document(remark) for remark in owner.remarks],
    }


def remark_document(remark: Remark) -> Json:
    """Return one explanation of growth."""
    return {
        "kind": remark.kind.value,
        "text": prose(remark.text),
        "rule": remark.rule,
        **({"place": None} if remark.place is None else named("place", remark.place)),
        "size": remark.size,
        "files": remark.files,
    }


def _place(place: PlaceChange) -> Json:
    return {
        **named("place", place.place),
        "kind": place.kind.value,
        "files": place.files,
        "delta": place.delta,
    }
