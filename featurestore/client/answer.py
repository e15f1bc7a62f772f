"""What a lookup gave: values, statuses and event times by name, and the same as pandas or Arrow where those are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featurestore.core.clock import from_microseconds
from featurestore.core.errors import RemoteError
from featurestore.core.status import FieldStatus
from featurestore.wire.columns import Column
from featurestore.wire.values import column_to_python

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_DATED = frozenset({FieldStatus.PRESENT, FieldStatus.NULL_VALUE, FieldStatus.OUTSIDE_MAX_AGE})


@dataclass(frozen=True, slots=True, eq=False)
class OnlineFeatures:
    """The join keys (`key_count` of them), then the features in the order asked for; each is a column with one element a row.

    Attributes:
        names: the columns' names.
        columns: the values; None for a column of nulls whose type the answer did not tell.
        status_codes: FieldStatus numbers, uint8.
        event_us: event times in microseconds since the epoch, int64; 0 where there is none.
        key_count: how many of the columns, from the left, are join keys.
    """

    names: tuple[str, ...]
    columns: tuple[Column | None, ...]
    status_codes: tuple[NDArray[np.uint8], ...]
    event_us: tuple[NDArray[np.int64], ...]
    key_count: int

    def repeated(self, count: int) -> OnlineFeatures:
        """`count` times the one row of views without entities."""
        return OnlineFeatures(
            self.names,
            tuple(None if column is None else _repeated(column, count) for column in self.columns),
            tuple(codes.repeat(count) for codes in self.status_codes),
            tuple(times.repeat(count) for times in self.event_us),
            self.key_count,
        )

    def to_dict(self) -> dict[str, list[Any]]:
        """Name -> Python values, as Feast gives it. A null is None, a timestamp an aware datetime in UTC."""
        return {
            name: [None] * len(codes) if column is None else column_to_python(column)
            for name, column, codes in zip(self.names, self.columns, self.status_codes, strict=True)
        }

    def statuses(self) -> dict[str, list[str]]:
        """Name -> each value's status: PRESENT, NULL_VALUE, NOT_FOUND or OUTSIDE_MAX_AGE; PRESENT for join keys."""
        labels = {status.value: status.name for status in FieldStatus}
        return {
            name: [labels.get(code, str(code)) for code in codes.tolist()]
            for name, codes in zip(self.names, self.status_codes, strict=True)
        }

    def event_timestamps(self) -> dict[str, list[datetime | None]]:
        """Feature -> the event time (UTC) of the row each value comes from; None where there was no row.

        Raises:
            RemoteError: a time before the year 1 or after 9999, which Python cannot hold.
        """
        features = list(zip(self.names, self.status_codes, self.event_us, strict=True))[self.key_count :]
        try:
            return {
                name: [
                    from_microseconds(time) if code in _DATED else None
                    for code, time in zip(codes.tolist(), times.tolist(), strict=True)
                ]
                for name, codes, times in features
            }
        except OverflowError:
            raise RemoteError(
                "the answer has an event time that Python cannot hold",
                "read it from event_us, in microseconds",
                code="OUT_OF_RANGE",
            ) from None

    def to_df(self) -> pd.DataFrame:
        """A pandas DataFrame with one column a name. Needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.to_dict())

    def to_arrow(self) -> pa.Table:
        """An Arrow table with one column a name, typed as the features are; a column of untold type is null. Needs pyarrow."""
        import pyarrow as pa

        from featurestore.wire.arrow import column_to_arrow

        arrays = [
            pa.nulls(len(codes)) if column is None else column_to_arrow(column)
            for column, codes in zip(self.columns, self.status_codes, strict=True)
        ]
        return pa.table(arrays, names=list(self.names))


def _repeated(column: Column, count: int) -> Column:
    """A column of one value, `count` times."""
    valid = None if column.valid is None else column.valid.repeat(count)
    if column.offsets is None:
        return Column(column.dtype, column.values.repeat(count), None, valid)
    first, last = (int(end) for end in column.offsets)
    offsets = np.arange(count + 1, dtype=np.int64) * (last - first)
    return Column(column.dtype, np.tile(column.values[first:last], count), offsets, valid)
