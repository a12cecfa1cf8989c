"""Activities through the published client: created in both formats, repeated, refused."""

import json

import pytest
from dynamics.customerinsights.api.models import AcceptedResult, CreatedResult, ODataError
from msrest.exceptions import HttpOperationError

from conftest import document
from shop import CUSTOMERS, ORDERS, instant, visit


def create(client, shop, fields: dict, entity: str = "UnifiedActivity", **options):
    return client.create_an_entity(shop.id, entity, document(**fields), **options)


def order(**fields) -> dict:
    return {
        "OrderId": "O9",
        "ContactId": "K1b",
        "OrderedOn": "2026-05-01T10:00:00Z",
        "Subject": "Order 9",
    } | fields


def test_an_activity_is_created_and_shows_in_the_very_next_read(client, shop):
    asked = visit()
    answer = create(client, shop, asked, valid_until=instant(days=1), caller="app", raw=True)
    made = answer.output
    assert isinstance(made, CreatedResult)
    assert (answer.response.status_code, made.status_code) == (201, 201)
    assert made.location == answer.response.headers["Location"]
    assert made.location.endswith(f"/data/UnifiedActivity('{asked['ActivityId']}')")
    assert made.value["state"] == "stored"
    assert {name: made.value[name] for name in asked} == asked
    assert shop.timeline("C1") == [asked["ActivityId"], "Shop_Orders:O1"]
    assert shop.http.get(made.location.removeprefix(shop.http.url)).json()["Title"] == "Came by"


def test_the_client_sends_a_text_that_holds_the_activity(proxied, proxy, shop):
    asked = visit(Title='says "hei" \\ ok')
    create(proxied, shop, asked)
    (seen,) = proxy.seen
    assert (seen.method, seen.status) == ("POST", 201)
    assert seen.headers["Content-Type"] == "application/json-patch+json; charset=utf-8"
    assert json.loads(json.loads(seen.body)) == asked


def test_published_spellings_of_fields_are_taken(client, shop):
    asked = visit(ActivityTimeStamp="2026-04-01T12:00:00Z", URL="https://shop.example/1")
    del asked["ActivityTime"]
    value = create(client, shop, asked).value
    assert value["ActivityTime"] == "2026-04-01T12:00:00.000Z"
    assert value["ExternalUrl"] == "https://shop.example/1"


def test_a_row_of_a_source_becomes_a_unified_activity_of_its_customer(client, shop):
    made = create(client, shop, order(), entity="Shop_Orders")
    assert isinstance(made, CreatedResult)
    value = made.value
    assert (value["ActivityId"], value["CustomerId"]) == ("Shop_Orders:O9", "C1")
    assert (value["ActivityType"], value["ActivityTypeDisplay"]) == ("SalesOrder", "Order")
    assert value["Title"] == "Order 9"
    assert shop.timeline("C1") == ["Shop_Orders:O9", "Shop_Orders:O1"]


def test_the_sources_own_copy_takes_the_place_of_a_row_posted_early(client, shop):
    create(client, shop, order(), entity="Shop_Orders")
    row = "O9,K1b,2026-05-01T10:00:00Z,Order 9\n"
    job = shop.load(CUSTOMERS, ORDERS + row, as_of=instant(minutes=-1))
    assert job["report"]["activitiesSuperseded"] == 1
    assert shop.timeline("C1") == ["Shop_Orders:O9", "Shop_Orders:O1"]


def test_the_same_activity_again_is_told_and_stored_once(client, shop):
    asked = visit()
    first = create(client, shop, asked, raw=True)
    # Another order of fields and another way to write the same instant: the same content.
    again = {name: asked[name] for name in reversed(asked)} | {"ActivityTime": "2026-04-01T14:00:00+02:00"}
    second = create(client, shop, again, raw=True)
    assert "Sanntid-Replayed" not in first.response.headers
    assert second.response.headers["Sanntid-Replayed"] == "true"
    assert isinstance(second.output, CreatedResult)
    assert second.output.location == first.output.location
    assert shop.timeline("C1").count(asked["ActivityId"]) == 1


def test_another_activity_under_the_same_id_is_a_conflict(client, shop):
    asked = visit()
    create(client, shop, asked)
    answer = create(client, shop, asked | {"Title": "Something else"})
    assert isinstance(answer, ODataError)
    assert answer.error_code == "activityConflict"
    assert asked["ActivityId"] in f"{answer.target} {answer.message}"


def test_without_an_id_the_content_is_the_identity(client, shop):
    asked = visit()
    del asked["ActivityId"]
    first, second = create(client, shop, asked), create(client, shop, asked)
    other = create(client, shop, asked | {"Title": "Other"})
    assert first.value["ActivityId"] == second.value["ActivityId"] != other.value["ActivityId"]
    assert len(shop.timeline("C1")) == 3


def test_each_missing_field_is_told(client, shop):
    answer = create(client, shop, {"Title": "x"})
    assert isinstance(answer, ODataError)
    assert {detail.target for detail in answer.details} == {"CustomerId", "ActivityTime", "ActivityType"}
    assert {detail.error_code for detail in answer.details} == {"missingField"}


@pytest.mark.parametrize(
    ("entity", "fields", "code", "named"),
    [
        ("UnifiedActivity", visit(CustomerId="nobody"), "customerNotFound", "nobody"),
        ("Shop_Orders", order(ContactId="K99"), "keyNotResolved", "K99"),
        ("Shop_Orders", order(Colour="red"), "unknownField", "Colour"),
        ("Shop_Orders", order(OrderedOn="soon"), "invalidField", "OrderedOn"),
        ("Shop_Returns", order(), "unknownActivityEntity", "Shop_Orders"),
    ],
)
def test_an_activity_that_fits_nothing_is_refused_with_what_was_wrong(client, shop, entity, fields, code, named):
    answer = create(client, shop, fields, entity=entity)
    assert isinstance(answer, ODataError)
    assert answer.error_code == code
    told = [answer.message, answer.target or ""] + [f"{d.message} {d.target}" for d in answer.details]
    assert named in " ".join(told)
    assert shop.timeline("C1") == ["Shop_Orders:O1"]


def test_an_activity_of_a_customer_to_come_can_be_held(client, shop):
    asked = visit(CustomerId="C4")
    # The client has no parameter for it, but encodes a query within the entity's name.
    held = create(client, shop, asked, entity="UnifiedActivity?onUnknownCustomer=hold")
    assert isinstance(held, AcceptedResult)
    assert (held.status_code, held.value["state"]) == (202, "held")
    assert held.location.endswith(f"/data/UnifiedActivity('{asked['ActivityId']}')")
    newcomer = "C4,Per Nordmann,Hamar,,4,,,,K4\n"
    shop.load(CUSTOMERS + newcomer, as_of=instant(minutes=-1))
    assert shop.timeline("C4") == [asked["ActivityId"]]


def test_a_profile_can_not_be_created(client, shop):
    with pytest.raises(HttpOperationError) as raised:
        create(client, shop, {"CustomerId": "C9"}, entity="Customer")
    assert raised.value.response.status_code == 405
    assert len(client.get_entities_with_odata_path(shop.id, "Customer").value) == 3
