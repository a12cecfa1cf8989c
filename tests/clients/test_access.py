"""Keys and roles through the published client: with the operator's key, and with an instance's own."""

import uuid

import pytest
from dynamics.customerinsights.api import models
from msrest.exceptions import HttpOperationError

from conftest import document, published_client
from shop import Shop, visit


@pytest.fixture
def shop(http):
    return Shop(http)


@pytest.fixture
def key(http, shop) -> str:
    """A key of the shop's own."""
    return http.send("POST", f"/api/instances/{shop.id}/manage/keys/primary/regenerate", expect=200).json()["key"]


@pytest.fixture
def own(server, key):
    with published_client(f"{server.url}/api", key) as client:
        yield client


def set_keys(http, shop, **change) -> None:
    http.send("PUT", f"/api/instances/{shop.id}/manage/keys", json=change, expect=200)


def assignment(principal: str, *roles: str, kind: str = "user") -> models.RoleAssignment:
    return models.RoleAssignment(principal_id=principal, principal_type=kind, roles=list(roles))


def test_roles_are_given_listed_and_taken(client, shop):
    names = [role.role_name for role in client.get_all_role_definitions(shop.id)]
    assert names == ["viewer", "contributor", "administrator"]
    assert client.get_all_role_assignments(shop.id) == []
    kari = str(uuid.uuid4())
    (given,) = client.update_a_role_assignment(shop.id, kari, assignment(kari, "viewer", "contributor"))
    assert (given.principal_id, given.principal_type, given.roles) == (kari, "user", ["viewer", "contributor"])
    assert given.instance_id == shop.id
    writers = client.update_a_role_assignment(shop.id, "writers", assignment("writers", "contributor", kind="group"))
    assert {one.principal_id for one in writers} == {kari, "writers"}
    client.deletes_a_role_assignment(shop.id, kari)
    assert [one.principal_id for one in client.get_all_role_assignments(shop.id)] == ["writers"]
    mine = client.get_current_user_role(shop.id)
    assert (mine.principal_type, mine.roles) == ("app", ["administrator"])


def test_a_key_of_an_instance_reads_and_writes_there_and_nowhere_else(client, own, http, shop):
    other = Shop(http)
    assert [info.instance_id for info in own.get_all_instances()] == [shop.id]
    mine = own.get_current_user_role(shop.id)
    assert (mine.principal_id, mine.principal_type, mine.roles) == ("key:primary", "app", ["contributor"])
    own.update_an_entity(shop.id, "Customer", "C1", document(City="Bergen"))
    read = own.get_entities_with_odata_path(shop.id, "Customer('C1')")
    assert read.additional_properties["City"] == "Bergen"
    created = own.create_an_entity(shop.id, "UnifiedActivity", document(**visit()))
    assert created.status_code == 201
    elsewhere = own.get_entities_with_odata_path(other.id, "Customer('C1')")
    nowhere = own.get_entities_with_odata_path(str(uuid.uuid4()), "Customer('C1')")
    assert isinstance(elsewhere, models.ODataError)
    assert (elsewhere.error_code, nowhere.error_code) == ("instanceNotFound", "instanceNotFound")


@pytest.mark.parametrize("role", ["viewer", "contributor"])
def test_a_role_that_is_too_low_is_told(own, http, shop, role):
    set_keys(http, shop, role=role)
    assert own.get_current_user_role(shop.id).roles == [role]
    refused = [
        lambda: own.get_all_role_assignments(shop.id),
        lambda: own.update_a_role_assignment(shop.id, "kari", assignment("kari", "administrator")),
        lambda: own.deletes_a_role_assignment(shop.id, "kari"),
        lambda: own.submit_a_workflow_job(shop.id, "main"),
    ]
    if role == "viewer":
        refused.append(lambda: own.update_an_entity(shop.id, "Customer", "C1", document(City="Bergen")))
    for call in refused:
        with pytest.raises(HttpOperationError) as raised:
            call()
        assert raised.value.response.status_code == 403
        assert raised.value.response.json()["errorCode"] == "forbidden"


def test_what_is_not_served_is_told_to_whoever_may_know_the_instance(own, http, shop):
    other = Shop(http)
    with pytest.raises(HttpOperationError) as raised:
        own.create_a_segment(shop.id, models.SegmentMetadata())
    assert raised.value.response.status_code == 501
    elsewhere = own.create_a_segment(other.id, models.SegmentMetadata())
    assert isinstance(elsewhere, models.ApiErrorResult)
    assert elsewhere.error_code == "instanceNotFound"


def test_an_unknown_or_disabled_key_is_a_401_which_the_client_takes_for_no_answer(server, own, http, shop):
    with published_client(f"{server.url}/api", "snt_nothing") as client:
        assert client.get_all_role_definitions(shop.id) is None
    set_keys(http, shop, enabled=False)
    assert own.get_all_role_definitions(shop.id) is None
    assert own.get_all_instances() is None
    set_keys(http, shop, enabled=True)
    assert len(own.get_all_role_definitions(shop.id)) == 3
