"""What every online store does. A new backend joins by one more parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from featurestore.core.clock import fixed_clock
from featurestore.core.errors import BusyError, InvalidInputError, NotMaterializedError
from featurestore.online import LmdbStore, OnlineStore
from tests.online.samples import SPEND, SPEND_CHANGED, STOCK, Stored, publish, read, spend_batch, spend_keys, upsert

Write = Callable[..., int]
NOW = 1_700_000_000_000_000


@pytest.fixture(params=["lmdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> OnlineStore:
    return {"lmdb": LmdbStore}[request.param](tmp_path / "online", fixed_clock(NOW))


def row(event: int, note: bytes = b"", created: int | None = None) -> Stored:
    return event, created, float(event), note


def test_a_store_never_written_reads_as_empty(store: OnlineStore) -> None:
    snapshot = store.snapshot()
    assert snapshot.generation == 0
    assert snapshot.get(SPEND, spend_keys([1, 2])) == [None, None]
    assert snapshot.state("spend") is None


def test_what_is_published_is_read_back_in_the_order_asked_for(store: OnlineStore) -> None:
    assert publish(store, {3: row(30), 1: row(10, b"one"), -2: (20, 5, None, None)}) == 3
    assert read(store, [1, 7, -2, 1, 3]) == [row(10, b"one"), None, (20, 5, None, None), row(10, b"one"), row(30)]
    assert store.snapshot().generation == 1


def test_the_state_of_a_view_is_told(store: OnlineStore) -> None:
    publish(store, {1: row(10), 2: row(20)}, watermark_us=25)
    state = store.snapshot().state("spend")
    assert state is not None
    assert (state.generation, state.fingerprint, state.keys, state.watermark_us) == (1, SPEND.fingerprint, 2, 25)
    assert state.written_us == NOW
    assert state.bytes > 0
    assert store.snapshot().state("stock") is None


def test_rows_already_held_stay_when_others_are_published(store: OnlineStore) -> None:
    publish(store, {1: row(10)})
    publish(store, {2: row(20)})
    assert read(store, [1, 2]) == [row(10), row(20)]


@pytest.mark.parametrize("write", [publish, upsert])
class TestNewerWins:
    """For rows published and for rows written in place."""

    def test_a_later_event_replaces_an_earlier_one_and_not_the_other_way(self, store: OnlineStore, write: Write) -> None:
        assert write(store, {1: row(20)}) == 1
        assert write(store, {1: row(10)}) == 0
        assert read(store, [1]) == [row(20)]
        assert write(store, {1: row(30)}) == 1
        assert read(store, [1]) == [row(30)]

    def test_at_equal_events_the_later_created_wins_and_none_is_earliest(self, store: OnlineStore, write: Write) -> None:
        assert write(store, {1: row(20, created=-5)}) == 1
        assert write(store, {1: row(20, b"uncreated")}) == 0
        assert write(store, {1: row(20, b"older", created=-6)}) == 0
        assert write(store, {1: row(20, b"newer", created=-4)}) == 1
        assert read(store, [1]) == [row(20, b"newer", created=-4)]

    def test_at_equal_times_a_correction_replaces_the_row(self, store: OnlineStore, write: Write) -> None:
        write(store, {1: row(20, b"wrong")})
        assert write(store, {1: row(20, b"right")}) == 1
        assert read(store, [1]) == [row(20, b"right")]

    def test_repeating_a_write_changes_nothing(self, store: OnlineStore, write: Write) -> None:
        write(store, {1: row(20), 2: row(5)})
        assert write(store, {1: row(20), 2: row(5)}) == 0
        assert read(store, [1, 2]) == [row(20), row(5)]

    def test_the_ends_of_time_are_compared_as_numbers(self, store: OnlineStore, write: Write) -> None:
        write(store, {1: row(-(2**63) + 1)})
        write(store, {1: row(-1)})
        write(store, {1: row(2**63 - 1)})
        assert write(store, {1: row(0)}) == 0
        assert read(store, [1]) == [row(2**63 - 1)]


def test_of_several_rows_for_a_key_in_one_batch_the_newest_wins(store: OnlineStore) -> None:
    batch = spend_batch([1, 1, 1, 1, 2], [row(5), row(9, b"first"), row(9, b"last"), row(7), row(1)])
    assert store.upsert(SPEND, *batch) == 2
    assert read(store, [1, 2]) == [row(9, b"last"), row(1)]


def test_of_several_rows_for_a_key_in_several_batches_the_newest_wins(store: OnlineStore) -> None:
    with store.publication() as publication:
        batches = [spend_batch([2, 1], [row(1), row(9)]), spend_batch([1, 3], [row(7), row(2)])]
        assert publication.write(SPEND, iter(batches), None) == 3
        publication.commit()
    assert read(store, [1, 2, 3]) == [row(9), row(1), row(2)]


def test_the_watermark_never_moves_back_and_upserts_do_not_move_it(store: OnlineStore) -> None:
    def watermark() -> int | None:
        state = store.snapshot().state("spend")
        assert state is not None
        return state.watermark_us

    upsert(store, {1: row(10)})
    assert watermark() is None
    publish(store, {}, watermark_us=50)
    assert watermark() == 50
    publish(store, {1: row(20)}, watermark_us=40)
    assert watermark() == 50
    upsert(store, {1: row(99)})
    publish(store, {}, watermark_us=None)
    assert watermark() == 50


def test_the_views_of_one_publication_appear_together(store: OnlineStore) -> None:
    with store.publication() as publication:
        publication.write(SPEND, [spend_batch([1], [row(1)])], 5)
        publication.write(STOCK, [spend_batch([1], [row(2)], STOCK)], 5)
        assert read(store, [1]) == [None]
        assert read(store, [1], STOCK) == [None]
        publication.commit()
    assert read(store, [1]) == [row(1)]
    assert read(store, [1], STOCK) == [row(2)]
    assert store.snapshot().generation == 1


def test_without_commit_nothing_changes(store: OnlineStore) -> None:
    publish(store, {1: row(1)}, watermark_us=1)
    with store.publication() as publication:
        publication.write(SPEND, [spend_batch([1], [row(2)])], 9)
    assert read(store, [1]) == [row(1)]
    assert store.snapshot().generation == 1


def test_an_error_half_way_leaves_the_store_as_it_was(store: OnlineStore) -> None:
    def batches() -> Iterator[tuple[list[bytes], list[bytes]]]:
        yield spend_batch([1, 2], [row(8), row(9)])
        raise RuntimeError("the source broke")

    publish(store, {1: row(1)}, watermark_us=1)
    with pytest.raises(RuntimeError), store.publication() as publication:
        publication.write(SPEND, batches(), 9)
    assert read(store, [1, 2]) == [row(1), None]
    state = store.snapshot().state("spend")
    assert state is not None
    assert state.watermark_us == 1
    publish(store, {2: row(3)})
    assert read(store, [1, 2]) == [row(1), row(3)]


def test_a_view_cannot_be_written_twice_in_one_publication(store: OnlineStore) -> None:
    with store.publication() as publication:
        publication.write(SPEND, [], None)
        with pytest.raises(InvalidInputError, match="spend is named twice"):
            publication.write(SPEND, [], None)


def test_two_publications_at_once_are_refused(store: OnlineStore) -> None:
    with store.publication(), pytest.raises(BusyError), store.publication():
        pass


def test_a_snapshot_stays_at_its_generation(store: OnlineStore) -> None:
    publish(store, {1: row(1)})
    old = store.snapshot()
    for event in range(2, 8):
        publish(store, {1: row(event), 2: row(event)})
        assert read(store, [1]) == [row(event)]
    assert read(old, [1, 2]) == [row(1), None]
    assert old.generation == 1
    assert store.snapshot().generation == 7


def test_a_view_of_a_changed_definition_is_not_read(store: OnlineStore) -> None:
    publish(store, {1: row(1)})
    with pytest.raises(NotMaterializedError, match="spend has been changed since it was materialized"):
        store.snapshot().get(SPEND_CHANGED, spend_keys([1]))


@pytest.mark.parametrize("write", [publish, upsert])
def test_a_view_of_a_changed_definition_starts_empty(store: OnlineStore, write: Write) -> None:
    publish(store, {1: row(9), 2: row(9)}, watermark_us=50)
    assert write(store, {1: row(3)}, SPEND_CHANGED) == 1
    assert read(store, [1, 2], SPEND_CHANGED) == [row(3), None]
    state = store.snapshot().state("spend")
    assert state is not None
    assert (state.keys, state.watermark_us) == (1, None)


MOVED = replace(SPEND, source=replace(SPEND.source, path="elsewhere.parquet"))


def test_a_view_of_another_source_is_read_as_it_is_until_it_is_published_and_then_starts_empty(store: OnlineStore) -> None:
    publish(store, {1: row(9), 2: row(9)}, watermark_us=50)
    assert read(store, [1, 2], MOVED) == [row(9), row(9)]
    assert upsert(store, {3: row(9)}, MOVED) == 1
    assert read(store, [1, 3], MOVED) == [row(9), row(9)]
    with store.publication() as publication:
        assert (publication.watermark(SPEND), publication.watermark(MOVED)) == (50, None)
    assert publish(store, {1: row(3)}, MOVED, watermark_us=7) == 1
    assert read(store, [1, 2, 3], MOVED) == [row(3), None, None]
    state = store.snapshot().state("spend")
    assert state is not None
    assert (state.keys, state.watermark_us, state.origin) == (1, 7, MOVED.origin)


def test_the_ttl_recorded_is_the_one_the_rows_reach_back_to(store: OnlineStore) -> None:
    def recorded() -> int | None:
        state = store.snapshot().state("spend")
        assert state is not None
        return state.ttl

    publish(store, {1: row(9)}, replace(SPEND, ttl=5), watermark_us=50)
    assert recorded() == 5
    publish(store, {1: row(9)}, replace(SPEND, ttl=20), watermark_us=60)
    assert recorded() == 5
    with store.publication() as publication:
        publication.write(replace(SPEND, ttl=20), [], 60, reaches_back=True)
        publication.commit()
    assert recorded() == 20


def test_the_views_held_are_named(store: OnlineStore) -> None:
    assert store.views() == frozenset()
    publish(store, {}, STOCK)
    upsert(store, {1: row(1)})
    assert store.views() == {"spend", "stock"}
    store.delete_views(["stock"])
    assert store.views() == {"spend"}


def test_rows_written_in_place_are_seen_at_once_and_by_a_snapshot_taken_before(store: OnlineStore) -> None:
    publish(store, {1: row(1)})
    before = store.snapshot()
    assert upsert(store, {1: row(2), 5: row(5)}) == 2
    assert read(store, [1, 5]) == read(before, [1, 5]) == [row(2), row(5)]
    state = store.snapshot().state("spend")
    assert state is not None
    assert state.keys == 2


def test_rows_written_in_place_while_the_next_generation_is_written_are_kept(store: OnlineStore) -> None:
    publish(store, {1: row(1), 2: row(1), 3: row(1)})
    with store.publication() as publication:
        publication.write(SPEND, [spend_batch([1, 2], [row(5, b"new"), row(5, b"new")])], 9)
        upsert(store, {1: row(4, b"pushed"), 2: row(6, b"pushed"), 3: row(2, b"pushed"), 4: row(4, b"pushed")})
        publication.commit()
    assert read(store, [1, 2, 3, 4]) == [row(5, b"new"), row(6, b"pushed"), row(2, b"pushed"), row(4, b"pushed")]


def test_a_correction_in_place_while_the_next_generation_is_written_is_kept_and_undoes_none(store: OnlineStore) -> None:
    publish(store, {1: row(5, b"wrong"), 2: row(5, b"wrong"), 3: row(5, b"held")})
    with store.publication() as publication:
        publication.write(SPEND, [spend_batch([1, 3], [row(5, b"published"), row(4)])], 9)
        upsert(store, {2: row(5, b"pushed"), 3: row(5, b"pushed")})
        publication.commit()
    assert read(store, [1, 2, 3]) == [row(5, b"published"), row(5, b"pushed"), row(5, b"pushed")]


def test_rows_without_as_many_keys_are_refused(store: OnlineStore) -> None:
    with pytest.raises(InvalidInputError, match="2 keys but 1 rows"):
        store.upsert(SPEND, spend_keys([1, 2]), spend_batch([1], [row(1)])[1])


def test_deleted_views_are_gone_and_others_stay(store: OnlineStore) -> None:
    publish(store, {1: row(1)}, watermark_us=5)
    publish(store, {1: row(2)}, STOCK)
    old = store.snapshot()
    store.delete_views(["spend", "never there"])
    assert read(store, [1]) == [None]
    assert store.snapshot().state("spend") is None
    assert read(store, [1], STOCK) == [row(2)]
    assert read(old, [1]) == [row(1)]
    publish(store, {2: row(3)})
    assert read(store, [1, 2]) == [None, row(3)]


def test_no_keys_no_rows(store: OnlineStore) -> None:
    publish(store, {1: row(1)})
    assert store.snapshot().get(SPEND, []) == []
    assert store.upsert(SPEND, [], []) == 0


@pytest.mark.parametrize("name", ["../elsewhere", "..", "CURRENT", ".lock", "a/b", "größe", "with space"])
def test_any_view_name_is_only_a_name(store: OnlineStore, name: str) -> None:
    odd = replace(SPEND, name=name)
    publish(store, {1: row(1)})
    publish(store, {1: row(2)}, odd)
    assert read(store, [1], odd) == [row(2)]
    assert read(store, [1]) == [row(1)]
