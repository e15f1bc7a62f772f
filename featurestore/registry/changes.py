"""What `apply` would change, as values: two states of the definitions compared, and nothing done about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from featurestore.core.catalog import Catalog, Field, Projection, Service, Source, Table, View

Kind = Literal["created", "changed", "deleted"]

_SERVICE = "feature service"
_LONGEST = 200
_ORDER = {"created": 0, "changed": 1, "deleted": 2}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an object before and after, as text for people; empty where there is none."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """One object that is created, changed or deleted. `object` is its kind in Feast's words, such as "feature view"."""

    kind: Kind
    object: str
    name: str
    fields: tuple[FieldChange, ...] = ()


def compare(object_kind: str, before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]) -> list[Change]:
    """The changes from one set of objects to another, both as {name: {field: plain value}}.

    A feature service that takes the same features of views that changed is "changed" without a field: Feast writes the features'
    types into it.
    """
    said = _projections_said if object_kind == _SERVICE else dict
    changes = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            changes.append(Change("created", object_kind, name))
        elif name not in after:
            changes.append(Change("deleted", object_kind, name))
        elif before[name] != after[name]:
            changes.append(Change("changed", object_kind, name, _field_changes(said(before[name]), said(after[name]))))
    return changes


def compare_catalogs(before: Catalog, after: Catalog) -> list[Change]:
    """The changes between two catalogs."""
    return [
        *compare("entity", _by_name(before.entities, _entity), _by_name(after.entities, _entity)),
        *compare("feature view", _by_name(before.views, _view), _by_name(after.views, _view)),
        *compare("on demand feature view", _by_name(before.on_demand_views, _fields), _by_name(after.on_demand_views, _fields)),
        *compare(_SERVICE, _by_name(before.services, _service), _by_name(after.services, _service)),
        *compare("table", _by_name(before.tables, _table), _by_name(after.tables, _table)),
    ]


def merge(registered: Sequence[Change], compiled: Sequence[Change]) -> tuple[Change, ...]:
    """The changes to the registry and to the catalog as one list: an object that is in both comes once, with the fields of both.

    The catalog's wording of a field goes before the registry's. Kinds of view are one kind here: the catalog has no others.
    A service that changed in nothing but the types of its views' features is left out, as those views are in the list.
    """
    found: dict[tuple[str, str], Change] = {}
    for change in [*compiled, *registered]:
        key = ("view" if change.object.endswith(("feature view", "label view")) else change.object, change.name)
        known = found.get(key)
        if known is None:
            found[key] = change
            continue
        covered = {_COVERED.get(field.name.partition(" ")[0], "") for field in known.fields}
        extra = tuple(field for field in change.fields if field.name not in covered | {f.name for f in known.fields})
        kind: Kind = known.kind if known.kind == change.kind else "changed"
        found[key] = Change(kind, change.object, change.name, () if kind != "changed" else known.fields + extra)
    if any(kind == "view" and change.kind == "changed" for (kind, _), change in found.items()):
        bare = [key for key, change in found.items() if (change.object, change.kind, change.fields) == (_SERVICE, "changed", ())]
        for key in bare:
            del found[key]
    return tuple(sorted(found.values(), key=lambda change: (_ORDER[change.kind], change.object, change.name)))


_COVERED = {
    "feature": "features",
    "join": "entity_columns",
    "ttl": "ttl",
    "source": "batch_source",
    "online": "online",
    "tag": "tags",
    "entities": "entities",
    "dtype": "value_type",
}
"""The first word of a catalog's field -> the registry's field that says the same."""


def _field_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    names = [*before, *(name for name in after if name not in before)]
    return tuple(
        FieldChange(name, *_texts(before.get(name, ""), after.get(name, "")))
        for name in names
        if before.get(name) != after.get(name)
    )


def _texts(before: Any, after: Any) -> tuple[str, str]:
    """Both values as text. Of lists too long to be shown whole, what only one of them has: else both could look the same."""
    if isinstance(before, tuple) and isinstance(after, tuple) and any(len(", ".join(v)) > _LONGEST for v in (before, after)):
        fewer = [part for part in before if part not in after], [part for part in after if part not in before]
        if any(fewer):
            before, after = (["…", *parts] for parts in fewer)
    return text(before), text(after)


def text(value: Any) -> str:
    """A plain value on one line for people, at most 200 characters."""
    if isinstance(value, Mapping):
        shown = ", ".join(f"{name}: {text(part)}" for name, part in value.items())
    elif isinstance(value, (list, tuple)):
        shown = ", ".join(text(part) for part in value)
    else:
        shown = " ".join(str(value).split())
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def _by_name(items: Sequence[Any], plain: Any) -> dict[str, dict[str, Any]]:
    return {item.name: plain(item) for item in items}


def _typed(prefix: str, fields: Sequence[Field]) -> dict[str, Any]:
    return {f"{prefix} {field.name}": field.dtype.name for field in fields}


def _entity(entity: Any) -> dict[str, Any]:
    return {"join key": entity.join_key, "dtype": entity.dtype.name}


def _view(view: View) -> dict[str, Any]:
    return {
        "entities": view.entities,
        **_typed("join key", view.join_keys),
        **_typed("feature", view.features),
        "ttl": "none" if view.ttl is None else str(timedelta(microseconds=view.ttl)),
        **_source(view.source),
        "online": view.online,
        **{f"tag {name}": value for name, value in view.tags},
    }


def _source(source: Source) -> dict[str, Any]:
    return {
        "source name": source.name,
        "source format": source.format,
        "source path": source.path,
        "source timestamp_field": source.timestamp_field,
        "source created_timestamp_column": source.created_timestamp_column or "",
        "source field_mapping": dict(source.field_mapping),
    }


def _fields(view: Any) -> dict[str, Any]:
    return _typed("feature", view.features)


def _service(service: Service) -> dict[str, Any]:
    return {
        **{f"view {projection.name}": _projection(projection) for projection in service.projections},
        **{f"view {name}": "on demand" for name in service.on_demand},
        **{f"tag {name}": value for name, value in service.tags},
    }


def _projection(projection: Projection) -> tuple[str, ...]:
    return _taken(projection.view, projection.features, projection.join_key_map)


def _taken(view: str, features: Iterable[str], join_key_map: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return (*(f"{view}:{feature}" for feature in features), *(f"{ours} given as {theirs}" for ours, theirs in join_key_map))


def _projections_said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A service's fields as the registry has them, its views told as the catalog tells them: by the names taken, without types."""
    said = {name: value for name, value in fields.items() if name != "features"}
    for view in fields.get("features", ()):
        name = view.get("feature_view_name", "")
        taken = [feature.get("name", "") for feature in view.get("feature_columns", ())]
        said[f"view {view.get('feature_view_name_alias') or name}"] = _taken(name, taken, view.get("join_key_map", {}).items())
    return said


def _table(table: Table) -> dict[str, Any]:
    return {
        "path": table.path,
        "key": table.key,
        "timestamp_field": table.timestamp_field,
        **_typed("column", table.columns),
        "inputs": table.inputs,
        "code": table.code_hash[:12],
    }
