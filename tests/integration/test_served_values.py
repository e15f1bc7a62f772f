"""The promise, from outside: what a client with nothing but Feast's own stubs is served is what a model trains on."""

from __future__ import annotations

from typing import Any

import grpc
import pyarrow as pa
import pytest
from feast.protos.feast.serving import ServingService_pb2 as messages
from feast.protos.feast.serving.ServingService_pb2_grpc import ServingServiceStub

from tests.integration.retail import Retail

KINDS = {
    pa.int64(): "int64_val",
    pa.int32(): "int32_val",
    pa.float64(): "double_val",
    pa.float32(): "float_val",
    pa.bool_(): "bool_val",
    pa.string(): "string_val",
    pa.timestamp("us", "UTC"): "unix_timestamp_val",
    pa.list_(pa.string()): "string_list_val",
}
"""The field of Feast's Value that a column of this Arrow type must come in."""


def expected(column: pa.ChunkedArray) -> list[tuple[str | None, Any]]:
    """What Feast's Value must be for each historical value: (field, content); (None, None) for null."""
    kind = KINDS[column.type]
    values = column.to_pylist()
    if kind == "unix_timestamp_val":
        values = [None if value is None else int(value.timestamp()) for value in values]
    return [(None, None) if value is None else (kind, value) for value in values]


def got(value: Any) -> tuple[str | None, Any]:
    kind = value.WhichOneof("val")
    if kind is None:
        return None, None
    content = getattr(value, kind)
    return kind, list(content.val) if kind.endswith("_list_val") else content


@pytest.mark.parametrize(
    ("key", "table", "views"),
    [("customer_id", "customer_days", ["customer_day", "customer_profile"]), ("stock_code", "product_days", ["product_day"])],
    ids=["customers", "products"],
)
def test_feasts_stub_is_served_the_historical_values(key: str, table: str, views: list[str], retail: Retail, address: str) -> None:
    entities, features = retail.entities(key, table, most=1000), retail.features(*views)
    request = messages.GetOnlineFeaturesRequest(features=messages.FeatureList(val=features), full_feature_names=True)
    for entity in entities:
        if isinstance(entity, int):
            request.entities[key].val.add(int64_val=entity)
        else:
            request.entities[key].val.add(string_val=entity)
    with grpc.insecure_channel(address) as channel:
        response = ServingServiceStub(channel).GetOnlineFeatures(request, timeout=30)

    table_then = retail.historical(key, entities, features)
    names = [reference.replace(":", "__") for reference in features]
    assert list(response.metadata.feature_names.val) == [key, *names]
    assert [value.int64_val or value.string_val for value in response.results[0].values] == entities
    held = 0
    for name, result in zip(names, response.results[1:], strict=True):
        values = [got(value) for value in result.values]
        assert values == expected(table_then[name]), name
        held += sum(kind is not None for kind, _ in values)
    assert held > len(entities), "hardly a value was served: nothing was compared"


def test_each_row_of_the_raw_files_is_accounted_for(retail: Retail) -> None:
    report = retail.store.prepare(full_refresh=True)
    lines = report.tables[0].fates
    assert lines.rows_in == lines.accepted + lines.quarantined + lines.deduplicated + lines.dropped
    if "real" in retail.root.parent.name:
        assert (lines.rows_in, lines.deduplicated) == (541_909, 5_268)
    else:
        assert lines.rows_in == 20_000
