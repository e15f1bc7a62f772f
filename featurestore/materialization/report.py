"""What a materialization did, view by view."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ViewReport:
    """One view's part.

    `rows_read`: source rows in the interval, `null_keys` of them left out because a join key is null. `keys_written`: rows the
    online store took up; fewer than there are keys where it held newer rows, or the same. `seconds`: time taken. `null_times`: rows
    of the whole source that no interval holds because they have no event time. `note`: what a reader of the numbers should know
    besides, or empty.
    """

    view: str
    rows_read: int
    keys_written: int
    seconds: float
    null_keys: int = 0
    null_times: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class MaterializeReport:
    """All views of one call, in the order they were written; they became visible together."""

    views: tuple[ViewReport, ...]

    def to_json_object(self) -> dict[str, Any]:
        """The object `materialize --json` prints."""
        return {"views": [{**asdict(view), "seconds": round(view.seconds, 6)} for view in self.views]}
