"""Profiles through the published client: what it sends to patch one, and what it makes of the answer."""

import json

import pytest
from dynamics.customerinsights.api.models import ODataError, ODataErrorDetail
from msrest.exceptions import HttpOperationError

from conftest import document
from shop import CUSTOMERS, ODD_ID, instant


def patch(client, shop, body: str, profile_id: str = "C1", **options):
    return client.update_an_entity(shop.id, "Customer", profile_id, body, **options)


def test_a_patch_shows_at_once_and_touches_no_other_field(client, shop):
    before = shop.profile("C1")
    answer = patch(client, shop, document(City="Bodø"), raw=True)
    assert answer.response.status_code == 204
    assert answer.response.content == b""
    # The client would read a `NoContentResult`, if a 204 could have a body.
    assert answer.output is None
    after = shop.profile("C1")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"City", "@odata.etag"}
    assert after["City"] == "Bodø"


def test_the_client_sends_a_text_that_holds_the_document(proxied, proxy, shop):
    patch(proxied, shop, document(City="Bodø"))
    (seen,) = proxy.seen
    assert (seen.method, seen.status) == ("PATCH", 204)
    assert seen.headers["Content-Type"] == "application/json-patch+json; charset=utf-8"
    assert json.loads(json.loads(seen.body)) == {"City": "Bodø"}
    assert shop.profile("C1")["City"] == "Bodø"


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/json", "application/json-patch+json; charset=utf-8"]
)
@pytest.mark.parametrize("as_text", [True, False])
def test_the_document_itself_is_taken_as_well_as_a_text_that_holds_it(shop, content_type, as_text):
    body = document(City="Bodø")
    body = json.dumps(body) if as_text else body
    headers = {"Content-Type": content_type}
    shop.http.send("PATCH", shop.path("/data/Customer('C1')"), data=body, headers=headers, expect=204)
    assert shop.profile("C1")["City"] == "Bodø"


def test_another_content_type_is_refused(shop):
    headers = {"Content-Type": "text/plain"}
    path = shop.path("/data/Customer/C1")
    shop.http.send("PATCH", path, data=document(City="x"), headers=headers, expect=415)
    assert shop.profile("C1")["City"] == "Oslo"


def test_the_printed_form_of_a_python_dict_is_told_from_json(client, shop):
    answer = patch(client, shop, {"City": "Bodø"})
    assert isinstance(answer, ODataError)
    assert answer.error_code == "invalidBody"
    assert "Python" in answer.message
    assert shop.profile("C1")["City"] == "Oslo"


@pytest.mark.parametrize("body", ["", "[]", "null", "7", "{}", "{", '"text"'])
def test_a_body_that_is_no_object_with_fields_is_refused(client, shop, body):
    answer = patch(client, shop, body)
    assert isinstance(answer, ODataError)
    assert answer.message
    assert shop.profile("C1")["City"] == "Oslo"


def test_each_bad_field_is_told_with_its_reason(client, shop):
    body = document(Nope=1, CustomerId="C9", LifetimeValue=1, Income="much", City="Bodø")
    answer = patch(client, shop, body)
    assert isinstance(answer, ODataError)
    assert all(isinstance(detail, ODataErrorDetail) and detail.message for detail in answer.details)
    assert {detail.target: detail.error_code for detail in answer.details} == {
        "Nope": "unknownField",
        "CustomerId": "readOnlyField",
        "LifetimeValue": "readOnlyField",
        "Income": "invalidField",
    }
    assert answer.additional_properties["error"]["code"] == answer.error_code
    assert shop.profile("C1")["City"] == "Oslo"


def test_a_field_given_twice_is_refused_whatever_its_case(client, shop):
    answer = patch(client, shop, '{"City": "a", "city": "b"}')
    assert [detail.error_code for detail in answer.details] == ["duplicateField"]


def test_values_keep_their_digits(client, shop):
    patch(client, shop, '{"Points": 9007199254740995, "Income": 0.1}')
    text = shop.http.get(shop.path("/data/Customer/C1")).text
    assert '"Points":9007199254740995' in text
    assert '"Income":0.1' in text


def test_null_overrides_a_field_with_no_value(client, shop):
    patch(client, shop, document(City=None))
    assert shop.profile("C1")["City"] is None
    assert shop.profile("C1", "?view=source")["City"] == "Oslo"


def test_an_unknown_profile_is_an_error_that_names_it(client, shop):
    answer = patch(client, shop, document(City="x"), profile_id="nobody")
    assert isinstance(answer, ODataError)
    assert (answer.error_code, answer.target) == ("profileNotFound", "nobody")
    assert "nobody" in answer.message


def test_an_id_with_unusual_characters_reaches_its_profile(client, shop):
    assert patch(client, shop, document(City="Vadsø"), profile_id=ODD_ID) is None
    quoted = ODD_ID.replace("'", "''")
    for path in (f"Customer('{quoted}')", f"Customer/{ODD_ID}"):
        read = client.get_entities_with_odata_path(shop.id, path)
        assert (read.additional_properties["CustomerId"], read.additional_properties["City"]) == (ODD_ID, "Vadsø")


def test_an_id_with_a_slash_reaches_its_profile(client, shop):
    shop.load(CUSTOMERS + "S/1,Siv Nordmann,Hamar,,4,,,,K4\n")
    read = client.get_entities_with_odata_path(shop.id, "Customer('S/1')")
    assert read.additional_properties["City"] == "Hamar"
    assert patch(client, shop, document(City="Vadsø"), profile_id="S/1") is None
    read = client.get_entities_with_odata_path(shop.id, "Customer('S/1')")
    assert read.additional_properties["City"] == "Vadsø"


def test_a_query_in_an_id_reaches_no_other_profile(client, shop):
    answer = patch(client, shop, document(City="x"), profile_id="C1?caller=y")
    assert isinstance(answer, ODataError)
    assert (answer.error_code, answer.target) == ("profileNotFound", "C1?caller=y")


def test_a_former_id_acts_on_the_profile_that_took_it_over(client, shop):
    answer = patch(client, shop, document(City="Moss"), profile_id="old-C2", raw=True)
    assert answer.response.status_code == 204
    assert answer.response.headers["Content-Location"].endswith("/data/Customer('C2')")
    assert shop.profile("C2")["City"] == "Moss"


def test_valid_until_and_caller_are_kept_with_each_field(client, shop):
    until = instant(days=2)
    patch(client, shop, document(City="Bodø", Income=1), valid_until=until, caller="crm & co")
    explained = shop.profile("C1", "?explain=true")
    for field, source in (("City", "Oslo"), ("Income", 52000.5)):
        reason = explained[f"{field}@sanntid.realtime"]
        assert (reason["sourceValue"], reason["caller"]) == (source, "crm & co")
        assert reason["validUntil"] == until


def test_valid_until_takes_an_offset_also_where_its_plus_became_a_space(client, shop):
    until = instant(hours=3).replace("Z", "+01:00")
    assert patch(client, shop, document(City="a"), valid_until=until) is None
    assert patch(client, shop, document(City="b"), valid_until=until.replace("+", " ")) is None
    assert shop.profile("C1")["City"] == "b"


@pytest.mark.parametrize("until", [instant(hours=-1), instant(days=31), "tomorrow"])
def test_a_valid_until_out_of_range_is_refused(client, shop, until):
    answer = patch(client, shop, document(City="x"), valid_until=until)
    assert isinstance(answer, ODataError)
    assert "validUntil" in f"{answer.target} {answer.message}"
    assert shop.profile("C1")["City"] == "Oslo"


@pytest.mark.parametrize("entity", ["UnifiedActivity", "Shop_Orders", "Nothing"])
def test_only_customers_can_be_patched(client, shop, entity):
    with pytest.raises(HttpOperationError) as raised:
        client.update_an_entity(shop.id, entity, "O1", document(Title="x"))
    answer = raised.value.response
    assert answer.status_code == 405
    assert answer.json()["errorCode"] == "methodNotAllowed"
    assert "GET" in answer.headers["Allow"]


def test_a_profile_changed_meanwhile_is_not_overwritten_where_its_version_is_named(client, shop):
    etag = shop.http.get(shop.path("/data/Customer/C1")).headers["ETag"]
    condition = {"If-Match": etag}
    assert patch(client, shop, document(City="first"), custom_headers=condition) is None
    with pytest.raises(HttpOperationError) as raised:
        patch(client, shop, document(City="second"), custom_headers=condition)
    assert raised.value.response.status_code == 412
    assert shop.profile("C1")["City"] == "first"
