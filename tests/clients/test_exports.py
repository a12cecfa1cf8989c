"""Exports as files of Parquet, read by a library that is not of the family that wrote them."""

import io
from datetime import date, datetime, timezone

import pyarrow
import pyarrow.parquet
import pytest

from conftest import document
from shop import ODD_ID, Shop, visit

PARQUET = "application/vnd.apache.parquet"


@pytest.fixture(scope="module")
def shop(http):
    return Shop(http)


def exported(http, shop, entity: str, **options) -> pyarrow.Table:
    answer = http.get(shop.path(f"/exports/{entity}"), **options)
    assert answer.headers["Content-Type"] == PARQUET
    return pyarrow.parquet.read_table(io.BytesIO(answer.content))


def test_customers_have_the_types_of_their_schema(client, http, shop):
    client.update_an_entity(shop.id, "Customer", "C1", document(City="Vadsø"))
    table = exported(http, shop, "Customer", headers={"Accept": PARQUET})
    types = {field.name: str(field.type) for field in table.schema}
    assert (types["Income"], types["Points"], types["Born"], types["City"]) == ("double", "int64", "date32[day]", "string")
    rows = {row["CustomerId"]: row for row in table.to_pylist()}
    assert sorted(rows) == sorted(["C1", "C2", ODD_ID])
    assert rows["C1"]["City"] == "Oslo", "the source alone"
    assert rows["C1"]["Points"] == 9007199254740993
    assert rows["C1"]["Born"] == date(1980, 2, 29)
    assert rows["C2"]["Income"] == 41000.0
    assert rows[ODD_ID]["Income"] is None


def test_activities_are_those_of_the_source(client, http, shop):
    client.create_an_entity(shop.id, "UnifiedActivity", document(**visit()))
    table = exported(http, shop, "UnifiedActivity", params={"format": "parquet"})
    assert str(table.schema.field("ActivityTime").type) == "timestamp[ms, tz=UTC]"
    rows = table.to_pylist()
    assert [row["ActivityId"] for row in rows] == ["Shop_Orders:O1", "Shop_Orders:O2", "Shop_Orders:O3"]
    assert rows[0]["ActivityTime"] == datetime(2026, 3, 1, 10, tzinfo=timezone.utc)
    assert [row["CustomerId"] for row in rows] == ["C1", "C2", ODD_ID]


def test_the_named_file_is_also_parquet(client, http, shop):
    read = client.get_entities_with_odata_path(shop.id, "UnifiedActivity", proxy=True)
    (request,) = read.additional_properties["httpRequests"]
    path = request["uri"].removeprefix(http.url)
    answer = http.get(path, headers={"Accept": PARQUET})
    assert pyarrow.parquet.read_metadata(io.BytesIO(answer.content)).num_rows == 3
