"""What an online store is: the narrow interface that every backend has and every user of one relies on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from featurestore.core.catalog import View

Batch = tuple[Sequence[bytes], Sequence[bytes]]
"""Keys and as many packed rows."""


@dataclass(frozen=True, slots=True)
class ViewState:
    """What a store holds of a view. Times are microseconds since the epoch, UTC.

    `generation` is the one that last rewrote the view, `fingerprint` that of the definition it was written under, `watermark_us`
    the time up to which the source has been read, None if rows have come by `upsert` only. `origin` is View.origin of the view as
    it was materialized, `ttl` (microseconds, None for no limit) how far back from the watermark nothing of the source is missing.
    """

    generation: int
    fingerprint: int
    keys: int
    watermark_us: int | None
    written_us: int
    bytes: int
    origin: str
    ttl: int | None


class Snapshot(Protocol):
    """A store at one generation: what one response is read from. Shared freely between threads, not across a fork.

    A generation published later is not seen; rows written in place by `upsert` are.
    """

    @property
    def generation(self) -> int:
        """Grows by one with every publication; 0 for a store that has none."""

    def get(self, view: View, keys: Sequence[bytes]) -> list[bytes | None]:
        """The packed row of each key, None where there is none; all of one moment. A view never written has no rows.

        Raises:
            NotMaterializedError: the view's definition has been changed since it was written.
            CorruptDataError: the view's file is damaged.
            StoreError: the store cannot be read.
        """

    def state(self, view_name: str) -> ViewState | None:
        """What is held of a view; None if nothing is."""


class Publication(Protocol):
    """The next generation, being written. Nothing of it is visible before `commit`; left without it, nothing remains."""

    def watermark(self, view: View) -> int | None:
        """The watermark of the rows that `write` would add to: None for a view that starts empty, or that has none yet."""

    def write(self, view: View, batches: Iterable[Batch], watermark_us: int | None, *, reaches_back: bool = False) -> int:
        """Add rows to what the store holds of a view; returns how many rows were taken up.

        Newer wins: a row goes in unless the stored one has a greater (event time, created time), so that at equal times a
        corrected row replaces the old. A row that is there already, byte for byte, is not counted. A view whose definition or
        origin has changed starts empty. The watermark never moves back. `reaches_back` says that with these rows nothing is
        missing from the watermark back by the view's present ttl, which may be longer than the one recorded.
        """

    def commit(self) -> None:
        """Make everything written durable, then visible in one step."""


class OnlineStore(Protocol):
    """Rows by view and key."""

    def snapshot(self) -> Snapshot:
        """The store as it is now. A store never written reads as empty, of generation 0.

        Raises:
            StoreError: it cannot be read, or has been removed since this object read it.
            CorruptDataError: what tells its generation is damaged.
        """

    def upsert(self, view: View, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
        """Write rows in place, newer wins as above; all of them are durable and visible together when it returns.

        Returns how many were taken up.
        """

    def publication(self) -> AbstractContextManager[Publication]:
        """Begin the next generation; BusyError while another is being written."""

    def delete_views(self, names: Iterable[str]) -> None:
        """Drop all that is held of these views; names that are not held are no error."""

    def views(self) -> frozenset[str]:
        """The names of the views of which anything is held, readable or not."""
