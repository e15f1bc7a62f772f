"""The one rule for several rows of one key at the same event time, and the read that applies it.

Of such rows the one with the greatest created time wins, null being lowest. Where that is equal too, the rows are compared feature by
feature in the view's order, and the first difference decides: the greater value wins; null is lowest, NaN greatest, 0.0 above -0.0,
false below true, text and bytes by their bytes, lists element by element, what is nested deeper in DuckDB's order and then by its JSON
text. So the winner depends on the rows alone: not on their order, not on which features are asked for, and it is the same row for a
training set and for the online store.

Ties are rare and the rule is dear (it reads every feature), so they are looked for on keys and times first, and the rule is applied to
the tied rows only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from featurestore.core.catalog import Field
from featurestore.offline.scan import Scan


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a source that matter, as SQL: keys k0.., event time t, created time c (BIGINT microseconds), features v0...

    `features` are all of the view's, in its order: the tie rule needs them, and what a query does not use is not read. `condition`
    limits the event time. A row without an event time or with a null key is left out. Without `keys` there is one constant key.
    """

    scan: Scan
    keys: Sequence[Field]
    features: Sequence[str]
    condition: str

    @property
    def key_columns(self) -> list[str]:
        """k0, k1, ..."""
        return [f"k{i}" for i in range(max(1, len(self.keys)))]

    def narrow(self) -> str:
        """Query: keys and times only."""
        return self._select([])

    def wide(self) -> str:
        """Query: keys, times and features."""
        return self._select([f"{self.scan.value(name)} AS v{i}" for i, name in enumerate(self.features)])

    def _select(self, features: list[str]) -> str:
        keys = [self.scan.key(field) for field in self.keys] or ["0::TINYINT"]
        times = [f"{self.scan.event_time()} AS t", f"{self.scan.created_time() or 'NULL::BIGINT'} AS c"]
        columns = ", ".join([*(f"{key} AS k{i}" for i, key in enumerate(keys)), *times, *features])
        # The alias t and a source's column t would be confused in one WHERE, hence the outer query.
        inner = f"SELECT {columns} FROM {self.scan.relation} WHERE {self.condition}"
        return f"SELECT * FROM ({inner}) WHERE " + " AND ".join(f"{name} IS NOT NULL" for name in (*self.key_columns, "t"))


def winners(
    connection: duckdb.DuckDBPyConnection,
    rows: Rows,
    wanted: Sequence[str],
    carry: Sequence[str],
    on: Sequence[str],
    *,
    unique: bool = False,
) -> str:
    """The query that gives, for each row of the table `picks`, the one source row that wins: `carry` of picks, c, and f0.. for `wanted`.

    Expects the tables `narrow` (what `rows.narrow()` gives, or as much of it as can match) and `picks`, which is matched to the
    source's rows by the columns `on`. Makes the table `ties`. Where it is known that no rows are tied, `unique`, it needs no `narrow`.
    """
    columns = ", ".join(on)
    count = 0 if unique else _find_ties(connection, columns)
    places = {name: i for i, name in enumerate(rows.features)}
    output = ", ".join(
        [*(f"picks.{name}" for name in carry), "s.c AS c", *(f"s.v{places[name]} AS f{i}" for i, name in enumerate(wanted))]
    )
    wide = rows.wide()
    if not count:
        return f"SELECT {output} FROM ({wide}) s JOIN picks USING ({columns})"
    order = ", ".join(
        ["c DESC NULLS LAST", *(term for name in rows.features for term in _descending(f"v{places[name]}", rows.scan.type(name)))]
    )
    place = f"row_number() OVER (PARTITION BY {columns} ORDER BY {order})"
    return (
        f"SELECT {output} FROM (SELECT * FROM ({wide}) ANTI JOIN ties USING ({columns})) s JOIN picks USING ({columns}) UNION ALL "
        f"SELECT {output} FROM (SELECT * FROM ({wide}) SEMI JOIN ties USING ({columns}) QUALIFY {place} = 1) s "
        f"JOIN picks USING ({columns})"
    )


def _find_ties(connection: duckdb.DuckDBPyConnection, columns: str) -> int:
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE ties AS SELECT {columns} FROM narrow SEMI JOIN picks USING ({columns}) "
        f"GROUP BY {columns} HAVING count(*) > 1"
    )
    (count,) = connection.execute("SELECT count(*) FROM ties").fetchall()[0]
    return int(count)


def _descending(column: str, kind: str) -> list[str]:
    """The order terms of a feature. DuckDB takes -0.0 and 0.0 for equal, hence the second term."""
    terms = [f"{column} DESC NULLS LAST"]
    if kind in ("float", "double"):
        terms.append(f"signbit({column}) ASC NULLS LAST")
    elif kind in ("list", "array", "struct", "map", "union"):
        terms.append(f"to_json({column})::VARCHAR DESC NULLS LAST")
    return terms
