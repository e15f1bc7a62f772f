"""Any sequence of publications, writes in place, snapshots and deletions, held to a dictionary."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from featurestore.core.catalog import View
from featurestore.online import LmdbStore
from tests.online.samples import SPEND, STOCK, Stored, publish, read, spend_batch, upsert

VIEWS = st.sampled_from([SPEND, STOCK])
TIMES = st.integers(-2, 3)
ROWS = st.dictionaries(
    st.integers(0, 5), st.tuples(TIMES, st.none() | TIMES, st.none() | st.sampled_from([0.0, 1.5]), st.sampled_from([b"", b"a"]))
)
IDS = list(range(6))


def newer(old: Stored | None, new: Stored) -> Stored:
    """The rule, on plain values."""
    if old is None:
        return new
    before = (old[0], float("-inf") if old[1] is None else old[1])
    after = (new[0], float("-inf") if new[1] is None else new[1])
    return new if after >= before else old


class StoreMachine(RuleBasedStateMachine):
    """The model: rows by view and id, and what each kept snapshot should read."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.store = LmdbStore(self.root)
        self.held: dict[str, dict[int, Stored]] = {}
        self.marks: dict[str, int | None] = {}

    def teardown(self) -> None:
        self.folder.cleanup()

    def take(self, view: View, rows: dict[int, Stored]) -> int:
        held = self.held.setdefault(view.name, {})
        taken = 0
        for key, row in rows.items():
            result = newer(held.get(key), row)
            taken += held.get(key) != result
            held[key] = result
        return taken

    @rule(view=VIEWS, rows=ROWS, mark=st.none() | st.integers(0, 9))
    def publish(self, view: View, rows: dict[int, Stored], mark: int | None) -> None:
        assert publish(self.store, rows, view, mark) == self.take(view, rows)
        marks = [m for m in (self.marks.get(view.name), mark) if m is not None]
        self.marks[view.name] = max(marks, default=None)

    @rule(view=VIEWS, rows=ROWS)
    def upsert(self, view: View, rows: dict[int, Stored]) -> None:
        assert upsert(self.store, rows, view) == self.take(view, rows)
        self.marks.setdefault(view.name, None)

    @rule(view=VIEWS, published=ROWS, pushed=ROWS)
    def upsert_during_publication(self, view: View, published: dict[int, Stored], pushed: dict[int, Stored]) -> None:
        if view.name not in self.held:
            return
        with self.store.publication() as publication:
            publication.write(view, [spend_batch(published, list(published.values()), view)], None)
            before = dict(self.held[view.name])
            assert upsert(self.store, pushed, view) == self.take(view, pushed)
            publication.commit()
        # It ends as if what the pushes changed had come after the publication.
        changed = {key: row for key, row in pushed.items() if self.held[view.name][key] != before.get(key)}
        self.held[view.name] = before
        self.take(view, published)
        self.take(view, changed)

    @rule(view=VIEWS, rows=ROWS)
    def abandon(self, view: View, rows: dict[int, Stored]) -> None:
        with self.store.publication() as publication:
            publication.write(view, [spend_batch(rows, list(rows.values()), view)], 99)

    @rule(view=VIEWS)
    def delete(self, view: View) -> None:
        self.store.delete_views([view.name])
        self.held.pop(view.name, None)
        self.marks.pop(view.name, None)

    @rule()
    def open_again(self) -> None:
        self.store = LmdbStore(self.root)

    @invariant()
    def reads_as_the_model(self) -> None:
        snapshot = self.store.snapshot()
        for view in (SPEND, STOCK):
            held = self.held.get(view.name, {})
            assert read(snapshot, IDS, view) == [held.get(n) for n in IDS]
            state = snapshot.state(view.name)
            if view.name not in self.held:
                assert state is None
            else:
                assert state is not None
                assert (state.keys, state.watermark_us) == (len(held), self.marks[view.name])


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
