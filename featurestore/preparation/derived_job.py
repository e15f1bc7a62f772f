"""The job of a table over tables, in Polars or SQL: made anew as a whole whenever an input or the code has changed."""

from __future__ import annotations

import re
from collections.abc import Mapping

import duckdb
import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.dataset as ds

from featurestore.core.errors import StoreError, TransformError
from featurestore.core.fates import ROW, Fates, is_hidden
from featurestore.offline.delta import Published
from featurestore.offline.engine import connected, interruptible
from featurestore.preparation.ledger import Entry
from featurestore.preparation.outcome import Outcome, Skipped
from featurestore.preparation.settle import check_run, settle
from featurestore.preparation.tables import Table, place
from featurestore.preparation.user_code import call, running
from featurestore.validation import as_text, check_schema, judge


def run_derived(table: Table, inputs: Mapping[str, Published], last: Entry | None, code_hash: str) -> Outcome | Skipped:
    """Make the table of these versions of its inputs. `last` is its last run, None to make it in any case; `code_hash` is of
    the code as it is now.

    Raises:
        StoreError: the query needs more memory than there is.
        TransformError: the function or its query failed, returned other columns, or no rows of inputs that have some.
        QuarantineLimitError: too many rows were refused.
    """
    versions = {name: published.identity for name, published in inputs.items()}
    if last is not None and last.inputs == versions and last.code_hash == code_hash:
        return Skipped("up to date")

    try:
        rows = _ordered(table, _sql_rows(table, inputs) if table.kind == "sql" else _polars_rows(table, inputs))
    except TransformError:
        for published in inputs.values():  # damaged input is not the function's fault
            published.check_content()
        raise
    if not rows.height and any(published.scan().select(pl.len()).collect().item() for published in inputs.values()):
        raise TransformError(
            f"table {table.name}: {place(table.function)} read rows and returned none", "mend its filters and joins"
        )
    judged = judge(rows.lazy(), table.contract).collect()
    settled = settle(table, judged, None)
    fates = Fates(
        rows_in=rows.height,
        accepted=settled.accepted.height,
        quarantined=settled.quarantined.height,
        deduplicated=settled.repeated,
        dropped=sum(settled.dropped_by_rule.values()),
    )
    check_run(table, fates, settled, copied=0, was_empty=True)
    return Outcome(
        mode="overwrite",
        origin="tables",
        files=(),
        inputs=versions,
        fates=fates,
        accepted=settled.accepted,
        quarantined=_with_values(settled.quarantined, rows),
        reasons=settled.reasons,
        dropped_by_rule=settled.dropped_by_rule,
    )


def _polars_rows(table: Table, inputs: Mapping[str, Published]) -> pl.DataFrame:
    result = call(table, {name: inputs[name].scan() for name in table.inputs})
    if not isinstance(result, pl.LazyFrame):
        raise TransformError(
            f"table {table.name}: {place(table.function)} returned {type(result).__name__}", "return a LazyFrame (end with .lazy())"
        )
    with running(table):
        schema = result.collect_schema()
    _check_columns(table, schema)
    with running(table):
        return result.collect()


def _sql_rows(table: Table, inputs: Mapping[str, Published]) -> pl.DataFrame:
    query = call(table, {name: name for name in table.inputs})
    what = f"table {table.name}: {place(table.function)}"
    if not isinstance(query, str):
        raise TransformError(f"{what} returned {type(query).__name__}", "return the text of one SQL query")
    with connected() as connection:
        # The query sees its declared inputs and nothing else of the machine, so what it depends on is what the ledger says.
        folders = [f"{published.path}/" for published in inputs.values()]
        connection.execute("SET allowed_directories = $folders", {"folders": folders})
        connection.execute("SET enable_external_access = false")
        for name, published in inputs.items():
            _show(connection, name, published)
        try:
            statements = connection.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise TransformError(
                    f"{what} returned {len(statements)} SQL statements or one that is no query", "return one select"
                )
            with interruptible():
                found = connection.sql(query).to_arrow_table()
            _need_plain(what, found.schema)
            rows = pl.DataFrame(found)
        except duckdb.OutOfMemoryException as error:
            raise StoreError(f"{what}: {_message(error)}", "free memory or disk space, or let the query do less at once") from error
        except duckdb.Error as error:
            raise TransformError(f"{what}: {_message(error)}", "mend the query") from error
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException) as error:
            cause = f"{what}: its result cannot be kept ({str(error).partition(chr(10))[0]})"
            raise TransformError(cause, "cast its columns to the contract's types") from error
    # DuckDB names its session's zone Etc/UTC; contracts say UTC.
    rows = rows.with_columns(cs.datetime("us", "Etc/UTC").dt.convert_time_zone("UTC"))
    _check_columns(table, rows.schema)
    return rows


def _need_plain(what: str, schema: pa.Schema) -> None:
    """See that no two columns have one name, and that none has a type that Polars has no word for."""
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise TransformError(f"{what} returns more than one column called {', '.join(twice)}", "give each a name of its own")
    odd = [f"{field.name} is {field.type}" for field in schema if pa.types.is_interval(field.type) or pa.types.is_union(field.type)]
    if odd:
        raise TransformError(f"{what} returns types that no column can have: {', '.join(odd)}", "cast them in the query")


def _show(connection: duckdb.DuckDBPyConnection, name: str, published: Published) -> None:
    """Let the query see a table under its name."""
    files = [str(file) for file in published.files]
    if not files:
        connection.register(name, published.schema.empty_table())
    elif any(character in file for file in files for character in "*?["):  # DuckDB would take them for patterns
        connection.register(name, ds.dataset(files, format="parquet"))
    else:
        connection.read_parquet(files).create_view(name)


def _check_columns(table: Table, schema: pl.Schema) -> None:
    visible = pl.Schema({name: dtype for name, dtype in schema.items() if not is_hidden(name)})
    check_schema(table.contract, visible, f"table {table.name}: {place(table.function)}")


def _ordered(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows in one order, whatever order the engine gave them, numbered: so that a rerun makes the same table."""
    first = [table.timestamp_field, *table.key]
    rest = [field.name for field in table.contract.fields if field.name not in first]
    if ROW in rows.columns:
        rows = rows.drop(ROW)
    return rows.sort([*first, *rest], nulls_last=True).with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))


def _with_values(quarantined: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Refused rows as the quarantine keeps them: no file or line, and the row itself as JSON, bytes in hexadecimal."""
    columns = [name for name in rows.columns if not is_hidden(name)]
    values = (
        rows.select(ROW, pl.struct(_jsonable(name, rows.schema[name]) for name in columns).alias("raw"))
        if columns
        else rows.select(ROW)
    )
    return quarantined.join(values, on=ROW, how="left", maintain_order="left").select(
        pl.lit(None, pl.String).alias("file"),
        pl.lit(None, pl.Int64).alias("line"),
        pl.col(ROW).alias("row"),
        "reasons",
        pl.col("raw").struct.json_encode(),
    )


def _jsonable(name: str, dtype: pl.DataType) -> pl.Expr:
    """The column as JSON can hold it."""
    if dtype == pl.Binary:
        return as_text(pl.col(name), dtype).alias(name)
    if dtype == pl.List(pl.Binary):
        return pl.col(name).list.eval(pl.element().bin.encode("hex"))
    return pl.col(name)


def _message(error: duckdb.Error) -> str:
    """DuckDB's message and the query's line that it points at, on one line."""
    text, _, pointed = str(error).partition("\n\nLINE ")
    line = re.match(r"(\d+): (.*)", pointed)
    cause = " ".join(text.split())
    return f"{cause} (line {line[1]} of the query: {line[2].strip()})" if line else cause
