"""Measures and relationships, as the published client reads them."""

import pytest

from shop import Shop


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


def test_customers_are_asked_for_by_their_segment(client, shop):
    answer = client.get_entities_with_odata_path(shop.id, "Customer", filter="IsMemberOfSegment('Best')")
    assert answer.value == []
