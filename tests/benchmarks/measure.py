"""Timing and printing: the best of some runs, beside a peer, with the ratio and what is asked of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Figure:
    """One line of the report. `ratio` is how many times better than the peer; `goal` its least, None where nothing is asked."""

    work: str
    ours: str
    peer: str
    ratio: float | None
    goal: float | None

    @property
    def reached(self) -> bool:
        return self.goal is None or (self.ratio is not None and self.ratio >= self.goal)


def seconds(work: Callable[[], T], runs: int = 3) -> tuple[float, T]:
    """The least time of some runs, and the last run's result."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    return best, result


def rate(work: Callable[[], object], least_seconds: float = 1.0) -> float:
    """Calls a second, over at least `least_seconds` after a short warm-up."""
    for _ in range(3):
        work()
    calls, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < least_seconds or calls < 3:
        work()
        calls += 1
    return calls / spent


def show(figure: Figure) -> None:
    """Print one figure at once, so that a long run can be watched."""
    ratio = "" if figure.ratio is None else f"{figure.ratio:,.2f}x"
    goal = "" if figure.goal is None else f"goal {figure.goal:g}x {'reached' if figure.reached else 'NOT REACHED'}"
    print(f"{figure.work:<44} ours {figure.ours:<24} peer {figure.peer:<36} {ratio:>10}  {goal}", flush=True)
