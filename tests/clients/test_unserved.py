"""Published operations that are not served: 501 with a reason. Also keeps the account of all operations."""

import re
import uuid
from pathlib import Path

import pytest
from dynamics.customerinsights.api import CustomerInsights, models
from msrest.exceptions import HttpOperationError

from shop import Shop

ID = str(uuid.uuid4())
WITH_INSTANCE = {
    # Client method → its arguments behind the instance.
    "get_search_configuration": [],
    "update_search_configuration": [models.InstanceSearchConfiguration()],
    # The business of the batch pipeline, not of this service.
    "get_an_entity_profile": ["Customer"],
    "get_an_attribute_profile": ["Customer", "City"],
    "get_all_hierarchies": [],
    "create_a_hierarchy": [models.HierarchyMetadata()],
    "delete_a_hierarchy": [ID],
    "get_a_hierarchy": [ID],
    "update_a_hierarchy": [ID, models.HierarchyMetadata()],
    "create_a_measure": [models.MeasureMetadata()],
    "delete_a_measure": ["Value"],
    "update_a_measure": ["Value", models.MeasureMetadata()],
    "create_a_relationship": [models.RelationshipMetadata()],
    "delete_a_relationship": ["Orders"],
    "update_a_relationship": ["Orders", models.RelationshipMetadata()],
    "create_a_segment": [models.SegmentMetadata()],
    "delete_segment": ["Best"],
    "update_a_segment": ["Best", models.SegmentMetadata()],
    "activate_segment": ["Best"],
    "deactivate_segment": ["Best"],
}

SERVED = {
    "get_all_segments",
    "get_list_of_workflow_task_information_history",
    "get_workflow_status",
    "get_a_list_of_measures_metadata",
    "get_metadata_for_a_measure",
    "get_all_relationships",
    "get_a_relationship",
    "get_all_system_created_relationships",
    "get_all_instances",
    "create_an_instance",
    "get_instance_metadata",
    "update_an_instance",
    "delete_an_instance",
    "copy_an_instance",
    "reset_an_instance",
    "create_an_entity",
    "update_an_entity",
    "get_entities_with_odata_path",
    "get_all_entity_metadata",
    "get_entity_metadata",
    "get_entity_size",
    "get_key_ring",
    "get_activity_types_and_counts",
    "get_profile_store_state",
    "get_all_data_sources",
    "get_data_source",
    "delete_a_data_source",
    "submit_a_workflow_job",
    "get_a_workflow_job_information",
    "get_list_of_recent_workflow_jobs",
    "cancel_a_workflow_job",
    "get_workflow_schedules",
    "create_workflow_refresh_schedule",
    "create_a_batch_of_workflow_refresh_schedules",
    "get_supported_timezones",
    "get_all_role_definitions",
    "get_current_user_role",
    "get_all_role_assignments",
    "update_a_role_assignment",
    "deletes_a_role_assignment",
}


def refusal(call, *arguments, **options) -> dict:
    """The body of the 501 that a call of the client raises."""
    with pytest.raises(HttpOperationError) as raised:
        answer = call(*arguments, **options)
        pytest.fail(f"it is served now: {answer}; move it to where served operations are tested")
    # All that the client itself shows is the status; the reason is in the response that it holds.
    assert str(raised.value) == "Operation returned an invalid status code 'Not Implemented'"
    response = raised.value.response
    assert response.status_code == 501
    assert "Retry-After" not in response.headers
    body = response.json()
    assert body["errorCode"] == body["error"]["code"] == "notServed"
    assert body["message"] == body["error"]["message"]
    assert body["httpStatusCode"] == "501"
    assert body["requestId"] == response.headers["x-request-id"]
    return body


def refused(client, shop, operation: str) -> dict:
    arguments = WITH_INSTANCE[operation]
    return refusal(getattr(client, operation), shop.id, *arguments)


@pytest.fixture(scope="module")
def shop(http):
    return Shop(http)


@pytest.mark.parametrize("operation", WITH_INSTANCE)
def test_an_operation_that_is_not_served_says_so(client, shop, operation):
    assert "is not served" in refused(client, shop, operation)["message"]


def test_an_operation_that_is_not_served_is_named(client, shop):
    for operation in WITH_INSTANCE:
        body = refused(client, shop, operation)
        method, path = body["target"].split(" ")
        assert method in {"GET", "POST", "PUT", "PATCH", "DELETE"}
        assert path.startswith("/instances/")
        assert body["message"].startswith(f"{method} {path} is not served")


def test_a_read_option_that_is_not_served_is_named(client, shop):
    body = refusal(client.get_entities_with_odata_path, shop.id, "Customer", search="Kari")
    assert "$search" in body["message"]
    assert body["target"] == "$search"


@pytest.mark.parametrize(
    ("condition", "named"),
    [
        ("contains(FullName,'Kari')", "contains"),
        ("year(Born) lt 1980", "year"),
    ],
)
def test_a_function_of_a_filter_that_is_not_served_is_named(client, shop, condition, named):
    answer = client.get_entities_with_odata_path(shop.id, "Customer", filter=condition)
    assert isinstance(answer, models.ODataError)
    assert "not supported" in answer.message
    assert named in answer.message


def test_every_operation_of_the_client_is_called_by_a_test():
    published = {name for name, value in vars(CustomerInsights).items() if hasattr(value, "metadata")}
    assert len(published) == 60
    unserved = WITH_INSTANCE.keys()
    assert SERVED | unserved == published
    assert not SERVED & unserved
    here = Path(__file__)
    others = [path.read_text() for path in here.parent.glob("test_*.py") if path != here]
    called = set(re.findall(r"client\.(\w+)\(", "\n".join(others)))
    assert not SERVED - called
