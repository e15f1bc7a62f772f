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
    the end of the latest interval materialized, None if rows have come by `upsert` only.
    """

    generation: int
    fingerprint: int
    keys: int
    watermark_us: int | None
    written_us: int
    bytes: int


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

    def write(self, view: View, batches: Iterable[Batch], watermark_us: int | None) -> int:
        """Add rows to what the store holds of a view; returns how many rows were taken up.

        Newer wins: a row goes in unless the stored one has a greater (event time, created time), so that at equal times a
        corrected row replaces the old. A row that is there already, byte for byte, is not counted. A view whose definition has
        changed starts empty. The watermark never moves back.
        """

    def commit(self) -> None:
        """Make everything written durable, then visible in one step."""


class OnlineStore(Protocol):
    """Rows by view and key."""

    def snapshot(self) -> Snapshot:
        """The store as it is now. A store never written reads as empty, of generation 0."""

    def upsert(self, view: View, keys: Sequence[bytes], rows: Sequence[bytes]) -> int:
        """Write rows in place, newer wins as above; all of them are durable and visible together when it returns.

        Returns how many were taken up.
        """

    def publication(self) -> AbstractContextManager[Publication]:
        """Begin the next generation; BusyError while another is being written."""

    def delete_views(self, names: Iterable[str]) -> None:
        """Drop all that is held of these views; names that are not held are no error."""
