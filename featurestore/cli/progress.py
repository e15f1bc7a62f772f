"""Progress of long work on a terminal: one bar a stage, on stderr, gone when the work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from featurestore.cli.output import console

Report = Callable[[str, str, int, int | None], None]
"""progress(stage, name, done, total): `total` is None where it is not known."""


@contextmanager
def stage_progress() -> Iterator[Report]:
    """Show bars while the block runs; where stderr is no terminal, nothing."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, name: str, done: int, total: int | None) -> None:
            label = f"{stage} {name}"
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total)
            bars.update(tasks[label], completed=done, total=total)

        yield report
