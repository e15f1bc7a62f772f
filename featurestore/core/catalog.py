"""The catalog: a project's definitions compiled to frozen values, complete enough to serve, join and materialize from.

It is what `apply` publishes. Everything at run time (server, jobs, training sets) reads this and never Feast's registry.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from featurestore.core.errors import CorruptDataError, DefinitionError, UnknownNameError
from featurestore.core.types import JOIN_KEY_TYPES, ValueType

FORMAT = 1
"""The catalog file's format. A reader refuses any other."""

SourceFormat = Literal["parquet", "delta"]


@dataclass(frozen=True, slots=True)
class Field:
    """A named, typed column: a feature, a join key, or a table's column."""

    name: str
    dtype: ValueType


@dataclass(frozen=True, slots=True)
class Entity:
    """Something features describe. `join_key` is the column that identifies it."""

    name: str
    join_key: str
    dtype: ValueType


@dataclass(frozen=True, slots=True)
class Source:
    """Where a view's rows are: Parquet (file, folder or glob) or a Delta table.

    `path` is relative to the project's root or absolute. `field_mapping` is Feast's: column in the source -> name in the view;
    it applies to join keys, features and timestamps alike.
    """

    name: str
    format: SourceFormat
    path: str
    timestamp_field: str
    created_timestamp_column: str | None = None
    field_mapping: tuple[tuple[str, str], ...] = ()

    def column(self, name: str) -> str:
        """The source's own column for a name used by the view."""
        return next((theirs for theirs, ours in self.field_mapping if ours == name), name)


@dataclass(frozen=True)
class View:
    """A feature view: features of the entities identified by `join_keys`, valid for `ttl` after their event time.

    `ttl` is in microseconds, None for no limit. `join_keys` is empty for a view without entities (one row for all).
    """

    name: str
    entities: tuple[str, ...]
    join_keys: tuple[Field, ...]
    features: tuple[Field, ...]
    ttl: int | None
    source: Source
    online: bool = True
    tags: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for key in self.join_keys:
            if key.dtype not in JOIN_KEY_TYPES:
                allowed = ", ".join(sorted(t.name for t in JOIN_KEY_TYPES))
                raise DefinitionError(f"view {self.name}: join key {key.name} is {key.dtype.name}", f"use one of {allowed}")
        names = Counter(f.name for f in (*self.join_keys, *self.features))
        twice = sorted(name for name, times in names.items() if times > 1)
        if twice:
            raise DefinitionError(f"view {self.name} names {', '.join(twice)} more than once", "rename one of them")

    @cached_property
    def fingerprint(self) -> int:
        """32 bits over names and types of keys and features; a stored row of another fingerprint is never read as this view's."""
        text = json.dumps(
            [[f.name, int(f.dtype)] for f in self.join_keys] + [None] + [[f.name, int(f.dtype)] for f in self.features]
        )
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")

    @cached_property
    def origin(self) -> str:
        """16 hexadecimal digits over where the source's rows are and how they are read; the source's name does not count."""
        source = self.source
        text = json.dumps(
            [source.path, source.format, source.timestamp_field, source.created_timestamp_column, sorted(source.field_mapping)]
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def feature(self, name: str) -> Field:
        """The feature of that name, or UnknownNameError with the nearest."""
        for candidate in self.features:
            if candidate.name == name:
                return candidate
        raise UnknownNameError(f"feature of view {self.name}", name, [f.name for f in self.features])


@dataclass(frozen=True, slots=True)
class Projection:
    """What a service or a request takes of one view.

    `join_key_map` is Feast's: the view's join key -> the name the caller gives it. `alias` replaces the view's name in full names.
    """

    view: str
    features: tuple[str, ...]
    alias: str | None = None
    join_key_map: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The name that prefixes this projection's full feature names."""
        return self.alias or self.view


@dataclass(frozen=True, slots=True)
class OnDemandView:
    """A view computed at the request. Kept so that a lookup of one can be refused by name."""

    name: str
    features: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """A named set of features, the input of one model. `on_demand` names its on-demand views, if any."""

    name: str
    projections: tuple[Projection, ...]
    on_demand: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A prepared table: its Delta folder (relative to the root), key, columns, and the names of what it is made from."""

    name: str
    path: str
    key: tuple[str, ...]
    timestamp_field: str
    columns: tuple[Field, ...]
    inputs: tuple[str, ...]
    code_hash: str


@dataclass(frozen=True)
class Catalog:
    """All of a project's definitions. Lookups by name raise UnknownNameError with the nearest names."""

    project: str
    entities: tuple[Entity, ...] = ()
    views: tuple[View, ...] = ()
    on_demand_views: tuple[OnDemandView, ...] = ()
    services: tuple[Service, ...] = ()
    tables: tuple[Table, ...] = ()

    @cached_property
    def _views(self) -> Mapping[str, View]:
        return {v.name: v for v in self.views}

    @cached_property
    def _services(self) -> Mapping[str, Service]:
        return {s.name: s for s in self.services}

    def view(self, name: str) -> View:
        """The feature view of that name."""
        try:
            return self._views[name]
        except KeyError:
            raise UnknownNameError("feature view", name, self._views) from None

    def service(self, name: str) -> Service:
        """The feature service of that name."""
        try:
            return self._services[name]
        except KeyError:
            raise UnknownNameError("feature service", name, self._services) from None

    def entity(self, name: str) -> Entity:
        """The entity of that name."""
        for candidate in self.entities:
            if candidate.name == name:
                return candidate
        raise UnknownNameError("entity", name, [e.name for e in self.entities])

    def table(self, name: str) -> Table:
        """The prepared table of that name."""
        for candidate in self.tables:
            if candidate.name == name:
                return candidate
        raise UnknownNameError("table", name, [t.name for t in self.tables])

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the content, hexadecimal: the catalog's identity."""
        return hashlib.sha256(_canonical(self._body()).encode()).hexdigest()

    def _body(self) -> dict[str, Any]:
        return asdict(self)

    def to_json(self) -> str:
        """The catalog file's text: the content and its digest."""
        return json.dumps({"format": FORMAT, "digest": self.digest, "catalog": self._body()}, indent=1, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Catalog:
        """Read back what `to_json` wrote.

        Raises:
            CorruptDataError: not a catalog, of another format, or its digest does not fit.
        """
        remedy = "run `featurestore apply` to write it anew"
        try:
            document = json.loads(text)
            if document["format"] != FORMAT:
                raise CorruptDataError(f"the catalog has format {document['format']}, this version reads {FORMAT}", remedy)
            catalog = _catalog(document["catalog"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptDataError(f"the catalog cannot be read ({type(error).__name__}: {error})", remedy) from error
        if document["digest"] != catalog.digest:
            raise CorruptDataError("the catalog does not fit its digest", remedy)
        return catalog


def _canonical(body: Any) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _pairs(items: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((a, b) for a, b in items)


def _fields(items: Sequence[Mapping[str, Any]]) -> tuple[Field, ...]:
    return tuple(Field(f["name"], ValueType(f["dtype"])) for f in items)


def _source(item: Mapping[str, Any]) -> Source:
    return Source(**{**item, "field_mapping": _pairs(item["field_mapping"])})


def _view(item: Mapping[str, Any]) -> View:
    return View(
        name=item["name"],
        entities=tuple(item["entities"]),
        join_keys=_fields(item["join_keys"]),
        features=_fields(item["features"]),
        ttl=item["ttl"],
        source=_source(item["source"]),
        online=item["online"],
        tags=_pairs(item["tags"]),
    )


def _projection(item: Mapping[str, Any]) -> Projection:
    return Projection(item["view"], tuple(item["features"]), item["alias"], _pairs(item["join_key_map"]))


def _catalog(body: Mapping[str, Any]) -> Catalog:
    return Catalog(
        project=body["project"],
        entities=tuple(Entity(e["name"], e["join_key"], ValueType(e["dtype"])) for e in body["entities"]),
        views=tuple(_view(v) for v in body["views"]),
        on_demand_views=tuple(OnDemandView(v["name"], _fields(v["features"])) for v in body["on_demand_views"]),
        services=tuple(
            Service(s["name"], tuple(_projection(p) for p in s["projections"]), tuple(s["on_demand"]), _pairs(s["tags"]))
            for s in body["services"]
        ),
        tables=tuple(
            Table(
                t["name"],
                t["path"],
                tuple(t["key"]),
                t["timestamp_field"],
                _fields(t["columns"]),
                tuple(t["inputs"]),
                t["code_hash"],
            )
            for t in body["tables"]
        ),
    )
