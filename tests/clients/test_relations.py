"""Measures and relationships, as the published client reads them."""

import pytest

from dynamics.customerinsights.api.models import SegmentMetadata

from shop import Shop, instant, until_ended


@pytest.fixture(scope="module")
def shop(http):
    return Shop(http)


def test_measures_are_the_computed_attributes(client, shop):
    measures = client.get_a_list_of_measures_metadata(shop.id)
    assert [measure.name for measure in measures] == ["LifetimeValue"]
    measure = client.get_metadata_for_a_measure(shop.id, "LifetimeValue")
    assert measure.name == "LifetimeValue"
    assert measure.definition.dependencies[0].qualified_entity_name == "Customer"


def test_relationships_are_those_of_the_configuration_and_of_the_system(client, shop):
    made = client.get_all_relationships(shop.id)
    assert [(made.from_entity_name, made.to_entity_name) for made in made] == [("Shop_Orders", "Shop_Contacts")]
    one = client.get_a_relationship(shop.id, made[0].name)
    assert one.from_attribute_name == "ContactId"
    system = client.get_all_system_created_relationships(shop.id)
    assert [relationship.name for relationship in system] == ["UnifiedActivity_Customer"]


def test_segments_are_those_that_a_snapshot_brought(client, shop, http):
    assert client.get_all_segments(shop.id) == []
    attributes = [{"name": name, "dataType": "Edm.String"} for name in ("SegmentName", "CustomerId")]
    entity = {"name": "SegmentMembership", "entityType": "segmentMembership", "attributes": attributes}
    manifest = {"asOf": instant(), "entities": [entity]}
    opened = http.send("POST", shop.path("/snapshots"), json=manifest, expect=201).json()
    snapshot = shop.path(f"/snapshots/{opened['snapshotId']}")
    rows = "SegmentName,CustomerId\nBest,C1\nNew,C1\nBest,C2\n"
    part = f"{snapshot}/entities/SegmentMembership/parts/1"
    http.send("PUT", part, data=rows, headers={"Content-Type": "text/csv"}, expect=204)
    job = http.send("POST", f"{snapshot}/commit", expect=202).json()
    path = shop.path(f"/workflows/main/jobs/{job['jobId']}")
    ended = until_ended(lambda: http.get(path).json(), lambda found: found["jobStatus"])
    assert ended["jobStatus"] == "successful", ended
    segments = client.get_all_segments(shop.id, include_historic_stats=True, number_of_segments=5)
    assert all(isinstance(segment, SegmentMetadata) for segment in segments)
    found = [(segment.name, segment.evaluation_status.entity_count) for segment in segments]
    assert found == [("Best", 2), ("New", 1)]
    assert segments[0].evaluation_status.job_status == "CompletedSuccess"
    members = client.get_entities_with_odata_path(shop.id, "Customer", filter="IsMemberOfSegment('Best')")
    assert [row["CustomerId"] for row in members.value] == ["C1", "C2"]


def test_customers_are_asked_for_by_their_segment(client, shop):
    answer = client.get_entities_with_odata_path(shop.id, "Customer", filter="IsMemberOfSegment('Worst')")
    assert answer.value == []
