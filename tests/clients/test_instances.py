"""Instances through the published client: made, listed, renamed, emptied, deleted; keys and addresses."""

import uuid
from datetime import datetime

import pytest
import requests
from dynamics.customerinsights.api.models import (
    ApiErrorResult,
    InstanceCopyRequest,
    InstanceCreationRequest,
    InstanceInfo,
    InstanceMetadata,
)
from msrest.exceptions import HttpOperationError

from conftest import document, published_client
from server import KEY
from shop import until_ended, visit


def creation(name: str = "Contoso", **fields) -> InstanceCreationRequest:
    metadata = InstanceMetadata(name=name, instance_type="sandbox", **fields)
    return InstanceCreationRequest(instance_metadata=metadata)


@pytest.mark.parametrize("prefix", ["/api", "/v1"])
def test_an_instance_lives_from_creation_to_deletion_under_either_base_url(server, prefix):
    with published_client(server.url + prefix) as client:
        made = client.create_an_instance(creation())
        assert isinstance(made, InstanceMetadata)
        assert (made.name, made.instance_type, made.provisioning_state) == ("Contoso", "sandbox", "active")
        assert isinstance(made.created_utc, datetime)
        assert client.get_instance_metadata(made.instance_id).instance_id == made.instance_id

        listed = client.get_all_instances()
        assert all(isinstance(info, InstanceInfo) for info in listed)
        assert [info.name for info in listed if info.instance_id == made.instance_id] == ["Contoso"]

        renamed = client.update_an_instance(made.instance_id, creation("Contoso Europe"))
        assert isinstance(renamed, InstanceMetadata)
        assert renamed.name == client.get_instance_metadata(made.instance_id).name == "Contoso Europe"
        assert renamed.version > made.version

        assert client.delete_an_instance(made.instance_id) is True
        gone = client.get_instance_metadata(made.instance_id)
        assert isinstance(gone, ApiErrorResult)
        assert made.instance_id not in [info.instance_id for info in client.get_all_instances()]


def test_the_id_of_an_instance_can_be_given_once(client):
    given = str(uuid.uuid4())
    assert client.create_an_instance(creation(instance_id=given)).instance_id == given
    again = client.create_an_instance(creation(instance_id=given))
    assert isinstance(again, ApiErrorResult)
    assert (again.error_code, again.http_status_code) == ("instanceExists", "409")
    assert given in again.message


def test_a_copy_of_an_instance_has_its_customers(client, shop):
    metadata = InstanceMetadata(name="Copy", instance_type="sandbox")
    made = client.copy_an_instance(InstanceCopyRequest(instance_id_to_copy=shop.id, instance_metadata=metadata))
    assert isinstance(made, InstanceMetadata)
    assert (made.name, made.provisioning_state) == ("Copy", "active")
    job = client.get_list_of_recent_workflow_jobs(made.instance_id, "main")[0].job_id
    ended = until_ended(
        lambda: client.get_a_workflow_job_information(made.instance_id, "main", job), lambda found: found.job_status
    )
    assert ended.job_status == "successful"
    read = client.get_entities_with_odata_path(made.instance_id, "Customer('C1')")
    assert read.additional_properties["FullName"] == "Kari Nordmann"
    none = client.copy_an_instance(
        InstanceCopyRequest(instance_id_to_copy=str(uuid.uuid4()), instance_metadata=metadata)
    )
    assert isinstance(none, ApiErrorResult)
    assert none.error_code == "invalidArgument"


def test_a_bad_request_for_an_instance_is_told_by_an_api_error(client):
    bad = client.create_an_instance(creation(""))
    assert isinstance(bad, ApiErrorResult)
    assert (bad.http_status_code, bad.exception_culprit, bad.result_severity) == ("400", "user", "error")
    assert "name" in bad.message


def test_a_reset_empties_an_instance_and_keeps_its_name_and_configuration(client, shop):
    client.create_an_entity(shop.id, "UnifiedActivity", document(**visit()))
    configured = shop.http.get(shop.path("/manage/activities")).json()
    assert client.reset_an_instance(shop.id, instance_management_operation_scope="all") is True
    assert client.get_entities_with_odata_path(shop.id, "Customer").value == []
    assert client.get_entities_with_odata_path(shop.id, "UnifiedActivity").value == []
    assert client.get_instance_metadata(shop.id).name == "Shop"
    left = shop.http.get(shop.path("/manage/activities")).json()
    assert [entry["entityName"] for entry in left] == [entry["entityName"] for entry in configured]


@pytest.mark.parametrize("instance", [str(uuid.uuid4()), "no-uuid", "a/b c"])
def test_an_unknown_instance_is_an_error_that_the_client_reads(client, instance):
    for answer in (
        client.get_instance_metadata(instance),
        client.delete_an_instance(instance),
        client.reset_an_instance(instance),
        client.update_an_instance(instance, creation()),
        client.get_all_entity_metadata(instance),
        client.get_profile_store_state(instance),
        client.get_list_of_recent_workflow_jobs(instance, "main"),
        client.submit_a_workflow_job(instance, "main", operation_type="all"),
    ):
        assert isinstance(answer, ApiErrorResult)
        assert (answer.error_code, answer.http_status_code) == ("instanceNotFound", "404")
        assert answer.additional_properties["error"]["code"] == "instanceNotFound"
    for answer in (
        client.get_entities_with_odata_path(instance, "Customer"),
        client.update_an_entity(instance, "Customer", "C1", document(City="Oslo")),
    ):
        assert answer.error_code == "instanceNotFound"
    # To this call the client knows no 404.
    with pytest.raises(HttpOperationError) as raised:
        client.create_an_entity(instance, "UnifiedActivity", document(**visit()))
    assert raised.value.response.status_code == 404


@pytest.mark.parametrize("key", [None, "wrong-key-0123456789"])
def test_without_a_good_key_the_client_gets_nothing(server, shop, key):
    with published_client(f"{server.url}/api", key) as stranger:
        for answer in (
            stranger.get_all_instances(raw=True),
            stranger.get_instance_metadata(shop.id, raw=True),
            stranger.get_entities_with_odata_path(shop.id, "Customer", raw=True),
            stranger.create_an_entity(shop.id, "UnifiedActivity", document(**visit()), raw=True),
            stranger.update_an_entity(shop.id, "Customer", "C1", document(City="x"), raw=True),
            stranger.delete_an_instance(shop.id, raw=True),
            # That an operation is not served is told to those who may call.
            stranger.get_all_role_definitions(shop.id, raw=True),
        ):
            assert answer.output is None
            assert answer.response.status_code == 401
            assert answer.response.headers["WWW-Authenticate"].startswith("Bearer")
    assert shop.profile("C1")["City"] == "Oslo"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Authorization": f"Bearer {KEY}"}, ""),
        ({"Ocp-Apim-Subscription-Key": KEY}, ""),
        ({}, f"?subscription-key={KEY}"),
    ],
)
def test_a_key_is_taken_from_each_published_place(server, headers, query):
    answer = requests.get(f"{server.url}/api/instances{query}", headers=headers, timeout=30)
    assert answer.status_code == 200
