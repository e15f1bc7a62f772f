"""Every judged row gets one fate: dropped before quarantined before repeated before accepted; and a run that may not stand is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import polars as pl
import pyarrow as pa

from featurestore.core.errors import CorruptDataError, QuarantineLimitError, TransformError
from featurestore.core.fates import DROPPED, ROW, Fates, refused_parts
from featurestore.offline.delta import Published
from featurestore.preparation.ledger import Refusals
from featurestore.preparation.quarantine import REASONS
from featurestore.preparation.tables import Table
from featurestore.validation import Contract, as_text, reasons
from featurestore.wire.arrow import arrow_type

DUPLICATE_KEY = "duplicate_key"
"""The rule that refuses a row whose key another row has with other content."""

_MOST_REASONS = 5


@dataclass(frozen=True)
class Settled:
    """The judged rows by fate. `accepted` has the published columns; `quarantined` has ROW and `reasons` (as in the quarantine),
    `repeated` counts the rows that were in the table, or earlier in the run, with the same key and content."""

    accepted: pl.DataFrame
    quarantined: pl.DataFrame
    repeated: int
    dropped_by_rule: Mapping[str, int]
    reasons: tuple[Refusals, ...]


def published_schema(contract: Contract) -> pa.Schema:
    """The Arrow schema in which a contract's table is published: the types of the wire, which every reader knows."""
    return pa.schema([(field.name, arrow_type(field.dtype)) for field in contract.fields])


def settle(table: Table, judged: pl.DataFrame, existing: Published | None) -> Settled:
    """Separate rows by fate. `judged` has the contract's columns, ROW, and what was noted of dropped and refused rows.

    `existing` is the table with the rows that it has already. Of rows with one key, the one in the table wins, else the first by ROW; the
    others are repeated if all their columns are equal to it, and refused under `DUPLICATE_KEY` if not.

    Raises:
        CorruptDataError: the table cannot be read.
    """
    if DROPPED not in judged.columns:
        judged = judged.with_columns(pl.lit(None, pl.String).alias(DROPPED))
    noted = [name for name in judged.columns if refused_parts(name)]
    is_refused = pl.any_horizontal(pl.col(noted).is_not_null()) if noted else pl.lit(False)
    dropped = judged.filter(pl.col(DROPPED).is_not_null())
    kept = judged.filter(pl.col(DROPPED).is_null())

    names = [field.name for field in table.contract.fields]
    published = pl.DataFrame(published_schema(table.contract).empty_table()).schema
    candidates = kept.filter(~is_refused).select(ROW, *names).cast(published).sort(ROW)
    accepted, repeated, clashing = _by_key(table.key, names, candidates, existing)

    refused = pl.concat([reasons(kept.filter(is_refused)), clashing])
    counts = (
        refused.group_by("rule", "column")
        .agg(pl.col(ROW).n_unique().alias("rows"))
        .sort("rows", "rule", "column", descending=[True, False, False])
    )
    by_rule = dropped.group_by(DROPPED).len("rows").sort(DROPPED)
    return Settled(
        accepted=accepted,
        quarantined=refused.group_by(ROW)
        .agg(pl.struct("rule", "column", "value").alias("reasons"))
        .cast({"reasons": REASONS})
        .sort(ROW),
        repeated=repeated,
        dropped_by_rule=dict(by_rule.iter_rows()),
        reasons=tuple(Refusals(rule, column, rows) for rule, column, rows in counts.iter_rows()),
    )


def _by_key(
    key: Sequence[str], names: Sequence[str], candidates: pl.DataFrame, existing: Published | None
) -> tuple[pl.DataFrame, int, pl.DataFrame]:
    """(accepted rows, number of repeated ones, reasons for the clashing ones in the form of `validation.reasons`)."""
    known = candidates.select(names).clear()
    fresh = candidates
    if existing is not None:
        known = _known(key, names, candidates, existing)
        if known.height:
            fresh = candidates.join(known, on=list(key), how="anti", maintain_order="left")
    firsts = fresh.unique(key, keep="first", maintain_order=True)
    others = candidates.join(firsts, on=ROW, how="anti", maintain_order="left")
    accepted = firsts.select(names)
    if not others.height:
        return accepted, 0, _clashes(key, others)

    content = [name for name in names if name not in key]
    winners = pl.concat([known, accepted]).rename({name: f"{name}|" for name in content})
    compared = others.join(winners, on=list(key), how="left", maintain_order="left")
    same = [pl.col(name).eq_missing(pl.col(f"{name}|")) for name in content]
    is_same = pl.all_horizontal(same) if same else pl.lit(True)
    clashing = compared.filter(~is_same)
    return accepted, compared.height - clashing.height, _clashes(key, clashing)


def _known(key: Sequence[str], names: Sequence[str], candidates: pl.DataFrame, existing: Published) -> pl.DataFrame:
    """The table's rows that have a key of the candidates."""
    keys, rows = candidates.select(key).unique().lazy(), existing.scan()
    try:
        met = rows.select(key).join(keys, on=list(key), how="semi").collect()
        # Only if one is met the other columns are read.
        return rows.select(names).join(keys, on=list(key), how="semi").collect() if met.height else candidates.select(names).clear()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        existing.check_content()
        cause = f"the table in {existing.path} cannot be read: {str(error).partition(chr(10))[0]}"
        raise CorruptDataError(cause, "put its files back, or run `featurestore prepare --full-refresh`") from error


def _clashes(key: Sequence[str], rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        ROW,
        pl.lit(DUPLICATE_KEY).alias("rule"),
        pl.lit(", ".join(key)).alias("column"),
        pl.concat_str([as_text(pl.col(name), rows.schema[name]) for name in key], separator=", ").alias("value"),
    )


def check_run(table: Table, fates: Fates, settled: Settled, *, copied: int, was_empty: bool) -> None:
    """See that a run may be published. `copied` of its rows are those of files known as a whole, which are not judged again;
    `was_empty` says that the table has no row but those that the run accepts.

    Raises:
        QuarantineLimitError: the share of its judged rows that are refused is above the table's `max_quarantined`.
        TransformError: it judged rows and accepts none, and refuses all of them or leaves the table empty.
    """
    judged = fates.rows_in - copied
    # As the decimal fraction that was written: the float 0.29 times 100 is less than 29.
    if fates.quarantined > Fraction(str(float(table.max_quarantined))) * judged:
        most = ", ".join(f"{r.rule} of {r.column}: {r.rows:,}" for r in settled.reasons[:_MOST_REASONS])
        raise QuarantineLimitError(
            f"table {table.name}: {fates.quarantined:,} of {judged:,} rows are refused, more than max_quarantined="
            f"{table.max_quarantined:g} allows ({most}); nothing was published",
            "mend the input, the function or the contract, or raise max_quarantined",
        )
    if judged and fates.accepted == 0 and (was_empty or fates.quarantined == judged):
        rules = ", ".join(f"{rule}: {rows:,}" for rule, rows in settled.dropped_by_rule.items())
        raise TransformError(
            f"table {table.name} read {fates.rows_in:,} rows and accepted none: {fates.dropped:,} dropped ({rules or 'no rule'}), "
            f"{fates.quarantined:,} quarantined, {fates.deduplicated:,} duplicates",
            "mend the function's rules or the contract",
        )
