"""A request's shape, resolved once per catalog: which views and features it means, and what its entities may be called."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from featurestore.core.catalog import Catalog, Field
from featurestore.core.errors import InvalidInputError, nearest
from featurestore.core.selection import Selection, select

MOST_PLANS = 512
"""Shapes kept per catalog; the least recently used one goes first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A resolved shape. `keys` maps every entity name that a request of this shape may use to the join key it stands for."""

    selection: Selection
    keys: Mapping[str, Field]

    def join_keys(self, given: Collection[str]) -> tuple[tuple[str, Field], ...]:
        """Pair the names a request gives with their join keys: those the views need first, in the selection's order.

        A join key of the project that these views do not need is let through, as Feast does.

        Raises:
            InvalidInputError: a needed join key is missing, given twice (by its own and its entity's name), or a name is no
                join key or entity.
        """
        names: dict[str, str] = {}
        for name in given:
            field = self.keys.get(name)
            if field is None:
                raise unexpected_key(name, self.selection, [f.name for f in self.keys.values()])
            if field.name in names:
                raise InvalidInputError(
                    f"join key {field.name} is given twice, as {names[field.name]} and as {name}", "give it once"
                )
            names[field.name] = name
        for field in self.selection.join_keys:
            if field.name not in names:
                raise missing_key(field.name, given)
        needed = [field.name for field in self.selection.join_keys]
        order = [*needed, *(name for name in sorted(names) if name not in needed)]
        return tuple((names[name], self.keys[names[name]]) for name in order)


class Plans:
    """The plans of one catalog, compiled when first asked for. Safe for many threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._plan = lru_cache(maxsize=MOST_PLANS)(self._compile)

    def plan(self, features: tuple[str, ...] | str, full_feature_names: bool) -> Plan:
        """The plan of a service's name or of feature references. Raises what `core.selection.select` raises."""
        return self._plan(features, full_feature_names)

    def _compile(self, features: tuple[str, ...] | str, full_feature_names: bool) -> Plan:
        selection = select(self._catalog, features, full_feature_names=full_feature_names)
        return Plan(selection, MappingProxyType(acceptable_keys(self._catalog, selection)))


def acceptable_keys(catalog: Catalog, selection: Selection) -> dict[str, Field]:
    """Every name a caller may give a key by -> the join key. A join key's own name goes before an entity's."""
    keys = {field.name: field for field in selection.join_keys}
    for entity in catalog.entities:
        keys.setdefault(entity.join_key, Field(entity.join_key, entity.dtype))
    for entity in catalog.entities:
        keys.setdefault(entity.name, keys[entity.join_key])
    return keys


def missing_key(name: str, given: Collection[str]) -> InvalidInputError:
    """The error for a needed join key that the caller left out."""
    got = f"got {', '.join(sorted(given)[:5])}" if given else "got no entities"
    return InvalidInputError(f"join key {name} is missing ({got})", f"give a value of {name} for every row")


def unexpected_key(name: str, selection: Selection, known: Collection[str]) -> InvalidInputError:
    """The error for an entity name that means nothing here, naming what is expected."""
    expected = [field.name for field in selection.join_keys]
    if expected:
        remedy = f"these features need {', '.join(expected)}"
    else:
        remedy = f"did you mean {', '.join(nearest(name, known))}?" if known else "these features need no entity"
    return InvalidInputError(f"{name!r} is no join key or entity of this project", remedy)
