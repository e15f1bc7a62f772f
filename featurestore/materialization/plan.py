"""Which views a materialization carries, and which interval of each: decided before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from featurestore.core.catalog import Catalog, View
from featurestore.core.clock import from_microseconds
from featurestore.core.errors import InvalidInputError
from featurestore.online import Snapshot


@dataclass(frozen=True, slots=True)
class Step:
    """One view and its interval of event times, microseconds since the epoch, both ends included; None is the beginning.

    `done` says why there is nothing to do, or is empty.
    """

    view: View
    start_us: int | None
    end_us: int
    done: str = ""


def plan_interval(catalog: Catalog, names: Sequence[str] | None, start_us: int | None, end_us: int) -> tuple[Step, ...]:
    """The same interval for all.

    Raises:
        InvalidInputError: start is after end, or see `online_views`.
        UnknownNameError: see `online_views`.
    """
    if start_us is not None and start_us > end_us:
        raise InvalidInputError(
            f"START {from_microseconds(start_us).isoformat()} is after END {from_microseconds(end_us).isoformat()}", "swap them"
        )
    return tuple(Step(view, start_us, end_us) for view in online_views(catalog, names))


def plan_increment(catalog: Catalog, names: Sequence[str] | None, end_us: int, online: Snapshot) -> tuple[Step, ...]:
    """For each view from its watermark on; from `end - ttl` on for one that has none, or whose definition or source has changed
    since; from the earlier of the two for one whose ttl has grown since.

    Raises:
        InvalidInputError, UnknownNameError: see `online_views`.
    """
    return tuple(_increment(view, end_us, online) for view in online_views(catalog, names))


def _increment(view: View, end_us: int, online: Snapshot) -> Step:
    state = online.state(view.name)
    first = None if view.ttl is None else end_us - view.ttl
    if state is None or state.watermark_us is None or (state.fingerprint, state.origin) != (view.fingerprint, view.origin):
        return Step(view, first, end_us)
    if state.watermark_us > end_us:
        return Step(view, end_us, end_us, f"already materialized up to {from_microseconds(state.watermark_us).isoformat()}")
    if state.ttl is not None and (view.ttl is None or view.ttl > state.ttl):
        return Step(view, None if first is None else min(first, state.watermark_us), end_us)
    return Step(view, state.watermark_us, end_us)


def online_views(catalog: Catalog, names: Sequence[str] | None) -> list[View]:
    """The named views, each once; all online views for None.

    Raises:
        UnknownNameError: there is no such view.
        InvalidInputError: a named view is not online, or there is none to materialize.
    """
    if names is None:
        views = [view for view in catalog.views if view.online]
        if not views:
            raise InvalidInputError("no feature view is online", "define one with online=True, then run `featurestore apply`")
        return views
    views = [catalog.view(name) for name in dict.fromkeys(names)]
    if not views:
        raise InvalidInputError("no view is named", "name one, or leave the names out for all online views")
    for view in views:
        if not view.online:
            raise InvalidInputError(f"view {view.name} is not online", "define it with online=True, then run `featurestore apply`")
    return views
