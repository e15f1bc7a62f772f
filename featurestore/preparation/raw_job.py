"""The job of a table over raw files: new files only, exact duplicates out, judged raw and clean, every row's fate known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import polars as pl

from featurestore.core.config import ProjectConfig
from featurestore.core.errors import DefinitionError, SourceError, TransformError
from featurestore.core.fates import FILE, LINE, ORIGIN, ROW, Fates, is_hidden
from featurestore.offline.delta import Published
from featurestore.preparation.ledger import Entry, LedgerFile, processed
from featurestore.preparation.outcome import Outcome, Skipped
from featurestore.preparation.settle import check_run, published_schema, settle
from featurestore.preparation.tables import Table, place
from featurestore.preparation.user_code import call, running
from featurestore.sources import CheckedFile, CsvSource, InputFile, check_files, list_files, scan_checked
from featurestore.validation import Contract, check_schema, compile_contract, judge


@dataclass(frozen=True)
class _NewFiles:
    """`fresh` are to be read; `copies` have the bytes of another file, read before or fresh, so that all their rows are known."""

    fresh: tuple[InputFile, ...]
    copies: tuple[InputFile, ...]


def run_raw(
    config: ProjectConfig,
    table: Table,
    source: CsvSource,
    inputs: Mapping[str, Published],
    existing: Published | None,
    entries: Sequence[Entry],
    replaced: Sequence[Entry],
    code_hash: str,
) -> Outcome | Skipped:
    """Prepare the files that no run of `entries` has read. `inputs` are the other tables that the function takes.

    `existing` is the table as it stands, None to make it anew (then `entries` is empty, and `replaced` are the
    runs that made what is replaced). `code_hash` is of the code as it is now.

    The rule of duplicates, which makes files that are prepared one by one and all together give the same table: of records that are
    equal in all columns within one file, the first stays and the others are duplicates, before the function sees them. A row
    that the function makes of another file's record is a duplicate where its key is known, from the table or an earlier file, with equal
    content. A file that has the bytes of another is all duplicates. Rows that were refused are judged again when another file
    brings them.

    Raises:
        SourceError: a file is missing, damaged, of other columns, or changed since it was processed.
        DefinitionError: the contracts do not fit the source or the table as it stands.
        TransformError: the function failed, lost rows or returned other columns.
        QuarantineLimitError: too many rows were refused.
    """
    contract = _raw_contract(source)
    if existing is not None:
        _check_published(table, existing)
    new = _new_files(list_files(source, config.root), processed(entries), table)
    if entries and not (new.fresh or new.copies):
        return Skipped("; ".join(["nothing new", *_recoded(table, entries, code_hash)]))

    columns = [column.name for column in contract.columns]
    checked = check_files(new.fresh, columns, source, config.root)
    read = _read(checked, columns, source, config)
    raw = read.unique([*columns, FILE], keep="first", maintain_order=True)
    judged = _transformed(table, judge(raw.lazy(), contract).collect(), inputs)
    settled = settle(table, judged, existing)

    rows = {file.digest: file.rows for file in processed(entries).values()} | {c.file.digest: c.rows for c in checked}
    copies = [LedgerFile(file.path, file.size, file.digest, rows[file.digest]) for file in new.copies]
    copied = sum(file.rows for file in copies)
    count = len(checked) + len(copies)
    fates = Fates(
        rows_in=read.height + copied,
        accepted=settled.accepted.height,
        quarantined=settled.quarantined.height,
        deduplicated=read.height - raw.height + copied + settled.repeated,
        dropped=sum(settled.dropped_by_rule.values()),
    )
    check_run(table, fates, settled, copied=copied, was_empty=existing is None or not existing.files)
    return Outcome(
        mode="append" if existing else "overwrite",
        origin="files",
        files=(*(LedgerFile(c.file.path, c.file.size, c.file.digest, c.rows) for c in checked), *copies),
        inputs={name: published.identity for name, published in inputs.items()},
        fates=fates,
        accepted=settled.accepted,
        quarantined=settled.quarantined.join(
            raw.select(
                pl.col(FILE).alias("file"),
                pl.col(LINE).alias("line"),
                ROW,
                pl.struct(columns).struct.json_encode().alias("raw"),
            ),
            on=ROW,
            how="left",
            maintain_order="left",
        ).rename({ROW: "row"}),
        reasons=settled.reasons,
        dropped_by_rule=settled.dropped_by_rule,
        message="; ".join(
            [
                f"{count} new file{'s' * (count != 1)}",
                *_recoded(table, entries, code_hash),
                *_gone(replaced, {file.path for file in (*new.fresh, *new.copies)}),
            ]
        ),
    )


def _recoded(table: Table, entries: Sequence[Entry], code_hash: str) -> list[str]:
    """What to tell where earlier runs were of other code."""
    if all(entry.code_hash == code_hash for entry in entries):
        return []
    remedy = f"`featurestore prepare {table.name} --full-refresh` applies today's to all rows"
    return [f"its code has changed since earlier rows were made: {remedy}"]


def _gone(replaced: Sequence[Entry], there: Set[str]) -> list[str]:
    """What to tell where files of the runs that are replaced are no more."""
    gone = sorted(processed(replaced).keys() - there)
    if not gone:
        return []
    more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
    are = "files of earlier runs are" if len(gone) > 1 else "file of earlier runs is"
    return [f"{len(gone)} {are} gone, and the table without their rows: {', '.join(gone[:3])}{more}"]


def _raw_contract(source: CsvSource) -> Contract:
    contract = compile_contract(source.contract)
    typed = [column.name for column in contract.columns if column.dtype != pl.String]
    if typed:
        raise DefinitionError(
            f"source {source.name}: contract {contract.name} gives {', '.join(typed)} another type than text",
            "raw CSV columns are text (str): convert them with cleaning steps in the table's function",
        )
    return contract


def _check_published(table: Table, existing: Published) -> None:
    wanted = {field.name: field.type for field in published_schema(table.contract)}
    found = {field.name: field.type for field in existing.schema}
    if wanted != found:
        differ = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        shown = ", ".join(f"{name} is {found.get(name, 'missing')}, now {wanted.get(name, 'left out')}" for name in differ)
        raise DefinitionError(
            f"table {table.name} was published with other columns than contract {table.contract.name} has: {shown}",
            f"run `featurestore prepare {table.name} --full-refresh` to make it anew",
        )


def _new_files(files: Sequence[InputFile], known: Mapping[str, LedgerFile], table: Table) -> _NewFiles:
    changed = [file.path for file in files if file.path in known and known[file.path].digest != file.digest]
    if changed:
        more = f" and {len(changed) - 3} more files" if len(changed) > 3 else ""
        raise SourceError(
            f"{', '.join(changed[:3])}{more} changed since it was processed for table {table.name}",
            f"put the old content back, or run `featurestore prepare {table.name} --full-refresh`",
        )
    digests = {file.digest for file in known.values()}
    fresh: list[InputFile] = []
    copies: list[InputFile] = []
    for file in files:
        if file.path not in known:
            (copies if file.digest in digests else fresh).append(file)
            digests.add(file.digest)
    return _NewFiles(tuple(fresh), tuple(copies))


def _read(checked: Sequence[CheckedFile], columns: Sequence[str], source: CsvSource, config: ProjectConfig) -> pl.DataFrame:
    try:
        frame = scan_checked(checked, columns, source, config.root).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(
            f"source {source.name} cannot be read: {str(error).partition(chr(10))[0]}", "copy the files again"
        ) from error
    expected = sum(file.rows for file in checked)
    if frame.height != expected:
        raise SourceError(
            f"source {source.name}: {frame.height:,} rows were read where {expected:,} were counted, so a file changed meanwhile",
            "wait until the files are written, then run again",
        )
    return frame


def _transformed(table: Table, raw: pl.DataFrame, inputs: Mapping[str, Published]) -> pl.DataFrame:
    """The function's rows, judged by the contract; each raw row is there once."""
    arguments = {name: inputs[name].scan() if name in inputs else raw.lazy() for name in table.inputs}
    result = call(table, arguments)
    what = f"table {table.name}: {place(table.function)}"
    if not isinstance(result, pl.LazyFrame):
        raise TransformError(f"{what} returned {type(result).__name__}", "return the LazyFrame that the steps make")
    with running(table):
        schema = result.collect_schema()
    lost = [name for name in raw.columns if is_hidden(name) and name not in schema]
    if lost:
        raise TransformError(
            f"{what} lost the hidden columns that tell where rows come from ({', '.join(lost[:4])})",
            "take columns with cleaning.select(frame, ...), and do not group or aggregate raw rows",
        )
    _check_columns(table, schema)
    with running(table):
        rows = judge(result, table.contract).collect()
    _check_rows(what, raw, rows)
    return rows


def _check_columns(table: Table, schema: pl.Schema) -> None:
    visible = pl.Schema({name: dtype for name, dtype in schema.items() if not is_hidden(name)})
    check_schema(table.contract, visible, f"table {table.name}: {place(table.function)}")


def _check_rows(what: str, raw: pl.DataFrame, rows: pl.DataFrame) -> None:
    before, after = raw[ROW], rows[ROW]
    if after.equals(before):
        return
    twice = rows.filter(after.is_duplicated() | after.is_null())
    if twice.height:
        raise TransformError(
            f"{what} returned {twice.height - twice[ROW].n_unique():,} rows more than once{_example(twice)}",
            "join only with tables that have one row for each key, and make no new rows",
        )
    gone = raw.join(rows.select(ROW), on=ROW, how="anti", maintain_order="left")
    if gone.height:
        raise TransformError(
            f"{what} lost {gone.height:,} rows without a rule{_example(gone)}",
            "instead of filter or unique, mark them: cleaning.drop_rows(frame, rule, where) or cleaning.refuse_rows",
        )
    if rows.height != raw.height:
        raise TransformError(f"{what} returned {rows.height - raw.height:,} rows that are not its input's", "make no new rows")


def _example(rows: pl.DataFrame) -> str:
    first = rows.select(ORIGIN).row(0, named=True)
    return f" (such as {first[FILE]}, line {first[LINE]})" if first[FILE] else ""
