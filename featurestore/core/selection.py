"""From what a caller asks for (feature references or a service) to the views, features and output names it means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from featurestore.core.catalog import Catalog, Field, Projection, Service, View
from featurestore.core.errors import InvalidInputError, UnknownNameError

MOST_FEATURES = 10_000
"""Features one request may ask for."""


@dataclass(frozen=True, slots=True)
class ViewSelection:
    """The part of a request that one view answers.

    `positions` are the places of `features` among the request's outputs. `key_names` are the names under which the caller gives
    the view's join keys, in the order of `view.join_keys`.
    """

    view: View
    features: tuple[Field, ...]
    positions: tuple[int, ...]
    key_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """A whole request: `names[i]` is the output name of the i-th feature asked for.

    `join_keys` are the distinct caller-side key columns with their types, in order of first use.
    """

    names: tuple[str, ...]
    views: tuple[ViewSelection, ...]
    join_keys: tuple[Field, ...]


def select(catalog: Catalog, features: Sequence[str] | str, *, full_feature_names: bool = False) -> Selection:
    """Resolve `features`: a service's name, or references `view:feature` (`view:*` for all of a view's).

    Raises:
        UnknownNameError: a view, feature or service does not exist.
        InvalidInputError: nothing is asked for, or more than MOST_FEATURES are; a reference is malformed, an output name occurs twice, or one key name would
            need two types.
    """
    if isinstance(features, str):
        service = catalog.service(features)
        projections = _service_projections(catalog, service)
    else:
        projections = _reference_projections(catalog, features)
    return _selection(catalog, projections, full_feature_names)


def _service_projections(catalog: Catalog, service: Service) -> list[Projection]:
    if service.on_demand:
        raise InvalidInputError(
            f"feature service {service.name} holds on-demand views ({', '.join(service.on_demand)}), which are not computed yet",
            "ask for its stored features by reference, view:feature",
        )
    return [Projection(p.view, (name,), p.alias, p.join_key_map) for p in service.projections for name in p.features]


def _reference_projections(catalog: Catalog, references: Sequence[str]) -> list[Projection]:
    if not references:
        raise InvalidInputError("no feature is asked for", "name at least one as view:feature, or a feature service")
    _check_number(len(references))
    repeated = _repeated(references)
    if repeated:
        raise InvalidInputError(f"asked for more than once: {_listed(repeated)}", "name each feature once")
    on_demand = {view.name for view in catalog.on_demand_views}
    projections: list[Projection] = []
    for reference in references:
        view_name, colon, feature = reference.partition(":")
        if not (view_name and colon and feature):
            raise InvalidInputError(f"{reference!r} is not a feature reference", "write view:feature")
        if view_name in on_demand:
            raise InvalidInputError(f"{view_name} is an on-demand view, which is not computed yet", "ask for stored features")
        try:
            view = catalog.view(view_name)
        except UnknownNameError as error:
            raise UnknownNameError(error.kind, view_name, [v.name for v in catalog.views]) from None
        names = [f.name for f in view.features] if feature == "*" else [view.feature(feature).name]
        _check_number(len(projections) + len(names))
        projections.extend(Projection(view.name, (name,)) for name in names)
    return projections


def _selection(catalog: Catalog, projections: Sequence[Projection], full_feature_names: bool) -> Selection:
    names: list[str] = []
    grouped: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[tuple[int, str]]] = {}
    for position, projection in enumerate(projections):
        (feature,) = projection.features
        names.append(f"{projection.name}__{feature}" if full_feature_names else feature)
        grouped.setdefault((projection.view, projection.name, projection.join_key_map), []).append((position, feature))

    _check_number(len(names))
    twice = _repeated(names)
    if twice:
        raise _ambiguous(twice)
    views: list[ViewSelection] = []
    keys: dict[str, Field] = {}
    for (view_name, _, join_key_map), wanted in grouped.items():
        view = catalog.view(view_name)
        renamed = dict(join_key_map)
        key_names = tuple(renamed.get(key.name, key.name) for key in view.join_keys)
        for key, name in zip(view.join_keys, key_names, strict=True):
            known = keys.setdefault(name, Field(name, key.dtype))
            if known.dtype != key.dtype:
                raise InvalidInputError(
                    f"join key {name} is {known.dtype.name} in one view and {key.dtype.name} in {view_name}",
                    "give one of them another name with a join_key_map",
                )
        fields = {field.name: field for field in view.features}
        features = tuple(fields.get(name) or view.feature(name) for _, name in wanted)
        views.append(ViewSelection(view, features, tuple(position for position, _ in wanted), key_names))
    twice = sorted(set(names) & keys.keys())
    if twice:
        raise _ambiguous(twice)
    return Selection(tuple(names), tuple(views), tuple(keys.values()))


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted(name for name, times in Counter(names).items() if times > 1)


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _ambiguous(names: Sequence[str]) -> InvalidInputError:
    return InvalidInputError(
        f"more than one output would be called {_listed(names)}", "ask with full_feature_names=True, or leave one out"
    )


def _check_number(features: int) -> None:
    if features > MOST_FEATURES:
        raise InvalidInputError(f"{features} features are asked for", f"ask for {MOST_FEATURES} or fewer at a time")
