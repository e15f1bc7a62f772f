"""A project's tables against each other: names, inputs, circles and order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from featurestore.core.errors import DefinitionError, UnknownNameError
from featurestore.preparation import ProjectTables, Table, collect
from tests.preparation.sales import buyer_days, raw_sales, sales


def named(name: str, *inputs: str, base: Table = buyer_days) -> Table:
    return replace(base, name=name, inputs=inputs)


def test_tables_and_sources_are_picked_out_of_a_projects_objects_once() -> None:
    project = collect([("a", sales), ("b", raw_sales), ("again", sales), ("other", 3), ("days", buyer_days)])
    assert (project.tables, project.sources) == ((sales, buyer_days), (raw_sales,))
    assert project.raw_source(sales) is raw_sales
    assert project.raw_source(buyer_days) is None
    assert project.table_inputs(buyer_days) == (sales,)


def test_one_name_for_two_things_is_refused() -> None:
    with pytest.raises(DefinitionError, match="called sales;"):
        ProjectTables((sales, replace(sales)), (raw_sales,))
    with pytest.raises(DefinitionError, match="called raw_sales;"):
        ProjectTables((named("raw_sales", "raw_sales"),), (raw_sales,))


def test_an_unknown_input_offers_the_nearest() -> None:
    with pytest.raises(DefinitionError, match=r"buyer_days .*reads sale, which is neither .* did you mean sales"):
        ProjectTables((sales, named("days", "sale")), (raw_sales,))
    with pytest.raises(DefinitionError, match="did you mean a CsvSource of that name"):
        ProjectTables((named("days", "sale"),), ())


def test_tables_that_need_each_other_are_named() -> None:
    with pytest.raises(DefinitionError, match="need each other") as caught:
        ProjectTables((sales, named("a", "sales", "b"), named("b", "c"), named("c", "a")), (raw_sales,))
    assert any(circle in str(caught.value) for circle in ("a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"))
    with pytest.raises(DefinitionError, match="a -> a"):
        ProjectTables((named("a", "a"),), ())


def test_sql_over_raw_files_and_two_raw_sources_are_refused() -> None:
    with pytest.raises(DefinitionError, match="put a @table with a contract between"):
        ProjectTables((named("days", "raw_sales"),), (raw_sales,))
    with pytest.raises(DefinitionError, match="reads 2 raw sources"):
        ProjectTables((named("both", "raw_sales", "more", base=sales),), (raw_sales, replace(raw_sales, name="more")))


def test_tables_come_after_what_they_need() -> None:
    project = ProjectTables(
        (named("last", "middle", "sales"), named("middle", "sales"), sales, named("aside", "sales")), (raw_sales,)
    )
    names = [table.name for table in project.order]
    assert names.index("sales") < names.index("middle") < names.index("last")
    assert sorted(names) == ["aside", "last", "middle", "sales"]
    assert [table.name for table in project.needed(["last"])] == [name for name in names if name != "aside"]
    assert project.needed(None) == project.order
    with pytest.raises(UnknownNameError, match="unknown table 'midle'; did you mean middle"):
        project.needed(["midle"])
