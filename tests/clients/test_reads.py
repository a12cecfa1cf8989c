"""Reads through the published client: entities by every form of a path, metadata, sizes, key ring, counts."""

from datetime import datetime, timezone

import pytest
from dynamics.customerinsights.api.models import (
    ApiErrorResult,
    EntitySize,
    IAttributeMetadata,
    IC360EntityModel,
    IEntityMetadata,
    KeyRingResponse,
    ODataEntityPayload,
    ODataError,
    ProfileStoreStateInfo,
)

from conftest import document, published_client
from shop import CUSTOMERS, ODD_ID, visit


def ids(payload: ODataEntityPayload, field: str = "CustomerId") -> list[str]:
    assert isinstance(payload, ODataEntityPayload), payload.message
    return [row[field] for row in payload.value]


@pytest.mark.parametrize("path", ["Customer('C1')", "Customer/C1", "customer('C1')", "Customer(CustomerId='C1')"])
def test_one_profile_is_read_by_every_form_of_its_path(proxied, proxy, shop, path):
    read = proxied.get_entities_with_odata_path(shop.id, path)
    (seen,) = proxy.seen
    assert not set("()'") & set(seen.path.rsplit("/", 1)[1]), "the client encodes the whole path"
    assert isinstance(read, ODataEntityPayload)
    assert read.odatacontext.endswith(f"/api/instances/{shop.id}/data/$metadata#Customer/$entity")
    fields = read.additional_properties
    assert (fields["CustomerId"], fields["City"]) == ("C1", "Oslo")
    assert fields["LifetimeValue"] == 120.5


def test_a_collection_has_rows_and_context(client, shop):
    read = client.get_entities_with_odata_path(shop.id, "Customer")
    assert set(ids(read)) == {"C1", "C2", ODD_ID}
    assert read.odatacontext.endswith("/data/$metadata#Customer")
    assert read.odatacount is None


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"filter": "City eq 'Oslo'"}, ["C1"]),
        ({"filter": "CustomerId in ('C1','C2')"}, ["C1", "C2"]),
        ({"filter": "Shop_Contacts_ContactId eq 'K1b'"}, ["C1"]),
        ({"filter": "Shop_Contacts_ContactId in ('K2','K3')"}, ["C2", ODD_ID]),
        ({"filter": "CustomerId eq 'C2' or City eq 'Oslo' and not (Points gt 5)"}, ["C2"]),
        ({"filter": "Income eq null"}, [ODD_ID]),
        ({"filter": "Points eq 9007199254740993"}, ["C1"]),
        ({"filter": "Points eq 9007199254740992"}, []),
        ({"filter": "Born lt 1980-01-01"}, ["C2"]),
        ({"filter": "fullname eq 'Åse Øye'"}, [ODD_ID]),
        ({"orderby": "Born desc"}, [ODD_ID, "C1", "C2"]),
        ({"orderby": "Income", "top": "1"}, [ODD_ID]),
        ({"orderby": "Born", "skip": "1", "top": "1"}, ["C1"]),
        ({"force_search": False, "proxy": False, "filter": "CustomerId eq 'C1'"}, ["C1"]),
    ],
)
def test_rows_are_chosen_and_ordered(client, shop, options, found):
    read = client.get_entities_with_odata_path(shop.id, "Customer", **options)
    got = ids(read)
    assert (got if "orderby" in options else sorted(got)) == found


def test_an_export_names_the_files_of_the_source(client, shop, http):
    patched = client.update_an_entity(shop.id, "Customer", "C2", document(City="Vadsø"))
    assert patched is None or patched.status_code == 204
    read = client.get_entities_with_odata_path(shop.id, "Customer", proxy=True)
    (request,) = read.additional_properties["httpRequests"]
    assert request["uri"].endswith(f"/api/instances/{shop.id}/exports/Customer")
    rows = http.get(f"/api/instances/{shop.id}/exports/Customer").text.splitlines()
    assert rows[0].startswith("CustomerId,FullName,City")
    assert [row for row in rows if row.startswith("C2,")] == ["C2,Ola Nordmann,Bergen,41000,2,1975-12-01,80,old-C2,K2"]


def test_customers_are_read_with_their_activities(client, shop):
    read = client.get_entities_with_odata_path(
        shop.id, "Customer", expand="UnifiedActivity", filter="CustomerId in ('C1','C2')"
    )
    found = {row["CustomerId"]: [entry["ActivityId"] for entry in row["UnifiedActivity"]] for row in read.value}
    assert found == {"C1": ["Shop_Orders:O1"], "C2": ["Shop_Orders:O2"]}
    refused = client.get_entities_with_odata_path(shop.id, "Customer", expand="Orders")
    assert "UnifiedActivity" in refused.message


def test_a_query_inside_the_encoded_path_is_read(client, shop):
    read = client.get_entities_with_odata_path(
        shop.id, "Customer?$filter=City eq 'Oslo'&$select=CustomerId&$count=true"
    )
    assert read.value == [{"CustomerId": "C1"}]
    assert read.odatacount == 1


def test_fields_are_selected(client, shop):
    read = client.get_entities_with_odata_path(shop.id, "Customer", filter="CustomerId eq 'C1'", select="City,FullName")
    assert read.value == [{"City": "Oslo", "FullName": "Kari Nordmann"}]


def test_filters_see_what_was_patched(client, shop):
    client.update_an_entity(shop.id, "Customer", "C2", document(City="Oslo"))
    read = client.get_entities_with_odata_path(shop.id, "Customer", filter="City eq 'Oslo'")
    assert sorted(ids(read)) == ["C1", "C2"]


@pytest.mark.parametrize("prefix", ["/api", "/v1"])
def test_pages_are_followed_by_the_links_token(server, shop, prefix):
    rows = "".join(f"D{n:03},Name {n},Oslo,,{n},,,,D{n}\n" for n in range(250))
    shop.load(CUSTOMERS + rows)
    link, pages = shop.path("/data/Customer?$orderby=Points").replace("/api", prefix, 1), []
    while link:
        page = shop.http.get(link).json()
        pages.append([row["CustomerId"] for row in page["value"]])
        next_link = page.get("@odata.nextLink", "")
        assert not next_link or next_link.startswith(f"{server.url}{prefix}/instances/{shop.id}/")
        link = next_link.removeprefix(server.url)
    assert [len(page) for page in pages] == [100, 100, 53]
    with published_client(server.url + prefix) as client:
        first = client.get_entities_with_odata_path(shop.id, "Customer", orderby="Points", raw=True)
        token = first.response.json()["@odata.nextLink"].split("skiptoken=")[1].split("&")[0]
        second = client.get_entities_with_odata_path(
            shop.id, "Customer", orderby="Points", skiptoken=token.replace("%3D", "=")
        )
        assert ids(first.output) + ids(second) == pages[0] + pages[1]


def test_a_timeline_is_read_by_customer_time_and_type(client, shop):
    asked = visit()
    client.create_an_entity(shop.id, "UnifiedActivity", document(**asked))

    def found(condition: str) -> list[str]:
        read = client.get_entities_with_odata_path(shop.id, "UnifiedActivity", filter=condition)
        return ids(read, "ActivityId")

    own = "CustomerId eq 'C1'"
    assert found(own) == [asked["ActivityId"], "Shop_Orders:O1"]
    assert found(f"{own} and ActivityType eq 'Visit'") == [asked["ActivityId"]]
    assert found(f"{own} and ActivityTypeDisplay eq 'Order'") == ["Shop_Orders:O1"]
    assert found(f"{own} and ActivityTime lt 2026-04-01T00:00:00Z") == ["Shop_Orders:O1"]
    one = client.get_entities_with_odata_path(shop.id, f"UnifiedActivity('{asked['ActivityId']}')")
    assert one.additional_properties["Title"] == "Came by"


@pytest.mark.parametrize(
    ("path", "options", "code"),
    [
        ("Customer", {"filter": "City eq"}, "invalidArgument"),
        ("Customer", {"filter": "Nope eq 1"}, "invalidArgument"),
        ("Customer", {"orderby": "Nope"}, "invalidArgument"),
        ("Customer", {"top": "-1"}, "invalidArgument"),
        ("Customer", {"skiptoken": "nonsense"}, "invalidArgument"),
        ("Customer('nobody')", {}, "profileNotFound"),
        ("UnifiedActivity('nothing')", {}, "activityNotFound"),
        ("Nothing", {}, "entityNotFound"),
    ],
)
def test_a_read_that_can_not_be_answered_is_an_odata_error(client, shop, path, options, code):
    answer = client.get_entities_with_odata_path(shop.id, path, **options)
    assert isinstance(answer, ODataError)
    assert answer.error_code == code
    assert answer.message
    assert answer.additional_properties["error"]["message"] == answer.message


def test_a_form_that_can_not_be_served_is_an_odata_error(client, shop):
    answer = client.get_entities_with_odata_path(shop.id, "Customer", custom_headers={"Accept": "image/png"})
    assert isinstance(answer, ODataError)
    assert answer.error_code == "notAcceptable"


def test_entities_are_described(client, shop):
    model = client.get_all_entity_metadata(
        shop.id, attributes_annotations=True, include_quarantined=False, include_self_conflated_entity=False
    )
    assert isinstance(model, IC360EntityModel)
    assert model.instance_id == shop.id
    assert {entity.name for entity in model.entities} == {"Customer", "Shop_Orders", "UnifiedActivity"}
    one = client.get_entity_metadata(shop.id, "Customer", attributes_annotations=True)
    assert isinstance(one, IEntityMetadata)
    assert one.entity_type == "profile"
    assert isinstance(one.refresh_time, datetime)
    assert [key.name for (key,) in one.keys] == ["CustomerId"]
    assert all(isinstance(attribute, IAttributeMetadata) for attribute in one.attributes)
    assert {a.name: a.data_type for a in one.attributes}["Points"] == "Edm.Int64"
    read_only = {"name": "ReadOnly", "value": "true"}
    assert {a.name for a in one.attributes if read_only in a.additional_properties["annotations"]} == {
        "CustomerId",
        "LifetimeValue",
        "PreviousCustomerId",
        "Shop_Contacts_ContactId",
    }


def test_an_unknown_entity_has_no_description_and_no_size(client, shop):
    for answer in (client.get_entity_metadata(shop.id, "Nothing"), client.get_entity_size(shop.id, "Nothing")):
        assert isinstance(answer, ApiErrorResult)
        assert answer.error_code == "entityNotFound"


def test_a_size_counts_the_rows_of_the_source(client, shop):
    size = client.get_entity_size(shop.id, "Customer")
    assert isinstance(size, EntitySize)
    assert (size.qualified_entity_name, size.row_count) == ("Customer", 3)
    assert size.size > 0


@pytest.mark.parametrize("rest", ["", "/Customer", "/Customer/entitysize"])
def test_entities_are_called_tables_too(shop, rest):
    entities = shop.http.get(shop.path(f"/manage/entities{rest}")).json()
    assert shop.http.get(shop.path(f"/manage/tables{rest}")).json() == entities


def test_a_key_leads_to_the_ring_of_its_customer(client, shop):
    ring = client.get_key_ring(shop.id, "Shop", "Contacts", "K1b")
    assert isinstance(ring, KeyRingResponse)
    assert (ring.instance_id, ring.customer_id) == (shop.id, "C1")
    (entry,) = ring.key_ring
    assert (entry["dataSourceName"], entry["entityName"]) == ("Shop", "Contacts")
    assert sorted(entry["keys"]) == ["K1", "K1b"]
    for key, source in (("K99", "Shop"), ("K1", "Other")):
        answer = client.get_key_ring(shop.id, source, "Contacts", key)
        assert isinstance(answer, ApiErrorResult)


def test_activities_are_counted_by_type(client, shop):
    client.create_an_entity(shop.id, "UnifiedActivity", document(**visit()))
    # The client reads this answer as a key ring; what that lacks stands beside it.
    counts = client.get_activity_types_and_counts(shop.id, "C1")
    assert isinstance(counts, KeyRingResponse)
    assert (counts.instance_id, counts.customer_id) == (shop.id, "C1")
    assert counts.additional_properties["totalCount"] == 2
    types = counts.additional_properties["activityTypes"]
    assert {entry["activityType"]: entry["count"] for entry in types} == {"SalesOrder": 1, "Visit": 1}
    assert isinstance(client.get_activity_types_and_counts(shop.id, "nobody"), ApiErrorResult)


def test_the_profile_store_tells_what_is_queryable(client, shop):
    answer = client.get_profile_store_state(shop.id, raw=True)
    state = answer.output
    assert isinstance(state, ProfileStoreStateInfo)
    assert state.instance_id == shop.id
    assert state.primary_info.current_state == "queryable"
    assert answer.response.json()["primaryInfo"]["rowCount"] == 3
    assert state.ingestion_time < datetime.now(timezone.utc)
