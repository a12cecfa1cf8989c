"""Refresh jobs through the published client: submitted, polled, listed, cancelled."""

import uuid
from datetime import datetime

import pytest
from dynamics.customerinsights.api.models import (
    ApiErrorResult,
    GraphJobInfo,
    GraphNodeInfo,
    GraphTaskInfo,
    OnDemandJobRequest,
)
from msrest.exceptions import HttpOperationError

from conftest import document
from shop import CUSTOMERS, instant, until_ended

ENDED = {"successful", "failed", "aborted", "skipped", "timedOut"}


def ended(client, shop, job: GraphJobInfo) -> GraphJobInfo:
    def current() -> GraphJobInfo:
        return client.get_a_workflow_job_information(shop.id, "main", job.job_id, include_tasks=True)

    return until_ended(current, lambda found: found.job_status)


def test_a_loaded_snapshot_is_a_job_that_the_client_reads(client, shop):
    job = client.get_a_workflow_job_information(shop.id, "main", shop.job["jobId"], include_tasks=True)
    assert isinstance(job, GraphJobInfo)
    assert (job.job_status, job.operation_type) == ("successful", "all")
    assert isinstance(job.submitted_timestamp, datetime)
    assert job.end_timestamp >= job.submitted_timestamp
    assert all(isinstance(task, GraphTaskInfo) and task.task_status == "successful" for task in job.tasks)
    assert [task.operation_type for task in job.tasks][-1] == "profileStore"
    report = job.additional_properties["report"]
    assert (report["profiles"], report["activities"], report["rowsRejected"]) == (3, 3, 0)
    bare = client.get_a_workflow_job_information(shop.id, "main", job.job_id, include_tasks=False)
    assert not bare.tasks


def test_a_refresh_clears_what_its_source_has_seen(client, shop):
    client.update_an_entity(shop.id, "Customer", "C1", document(City="Bodø"))
    report = shop.load(CUSTOMERS, as_of=instant(hours=-1))["report"]
    assert (report["overlayFieldsCleared"], report["overlayFieldsKept"]) == (0, 1)
    assert shop.profile("C1")["City"] == "Bodø"
    report = shop.load(CUSTOMERS.replace("Oslo", "Moss"), as_of=instant())["report"]
    assert (report["overlayFieldsCleared"], report["overlayFieldsKept"]) == (1, 0)
    assert shop.profile("C1")["City"] == "Moss"


@pytest.mark.parametrize("by_body", [True, False])
def test_a_submitted_job_ends_and_is_listed_first(client, shop, by_body):
    if by_body:
        body = OnDemandJobRequest(operation_type="activity", job_type="full", submission_kind="onDemand")
        job = client.submit_a_workflow_job(shop.id, "main", body=body)
    else:
        job = client.submit_a_workflow_job(shop.id, "main", operation_type="activity", force_run_requested=True)
    assert isinstance(job, GraphJobInfo)
    assert job.operation_type == "activity"
    assert ended(client, shop, job).job_status == "successful"
    listed = client.get_list_of_recent_workflow_jobs(shop.id, "main", top=5, include_tasks=False)
    assert [entry.job_id for entry in listed] == [job.job_id, shop.job["jobId"]]
    (newest,) = client.get_list_of_recent_workflow_jobs(shop.id, "main", top=1)
    assert isinstance(newest, GraphJobInfo)
    assert newest.job_id == job.job_id


def test_a_refresh_without_a_source_is_skipped_and_changes_nothing(client, shop):
    job = client.submit_a_workflow_job(shop.id, "main", operation_type="all")
    assert ended(client, shop, job).job_status == "skipped"
    assert shop.profile("C1")["City"] == "Oslo"
    for unknown in ("nightly", str(uuid.uuid4())):
        refused = client.submit_a_workflow_job(shop.id, "main", operation_type="all", identifiers=[unknown])
        assert isinstance(refused, ApiErrorResult)
        assert refused.error_code == "dataSourceNotFound"


def test_cancelling_ends_a_job_and_leaves_an_ended_one_as_it_is(client, shop):
    job = client.submit_a_workflow_job(shop.id, "main", operation_type="activity")
    cancelled = client.cancel_a_workflow_job(shop.id, "main", job.job_id)
    assert isinstance(cancelled, GraphJobInfo)
    assert ended(client, shop, job).job_status in ("aborted", "successful")
    done = client.cancel_a_workflow_job(shop.id, "main", shop.job["jobId"])
    assert done.job_status == "successful"
    assert shop.timeline("C1") == ["Shop_Orders:O1"]


@pytest.mark.parametrize("job_id", [str(uuid.uuid4()), "no-uuid"])
def test_an_unknown_job_is_an_api_error(client, shop, job_id):
    for answer in (
        client.get_a_workflow_job_information(shop.id, "main", job_id),
        client.cancel_a_workflow_job(shop.id, "main", job_id),
    ):
        assert isinstance(answer, ApiErrorResult)
        assert answer.error_code == "jobNotFound"


def test_there_is_one_workflow(client, shop):
    answer = client.get_list_of_recent_workflow_jobs(shop.id, "other")
    assert isinstance(answer, ApiErrorResult)
    assert "main" in answer.message
    assert shop.http.get(shop.path("/manage/workflows/main/jobs")).json()[0]["jobId"] == shop.job["jobId"]


@pytest.mark.parametrize(("operation", "status"), [("segmentation", 501), ("nonsense", 400)])
def test_a_job_that_is_not_ours_is_refused(client, shop, operation, status):
    # To this call the client knows neither status.
    with pytest.raises(HttpOperationError) as raised:
        client.submit_a_workflow_job(shop.id, "main", operation_type=operation)
    answer = raised.value.response
    assert answer.status_code == status
    assert operation in answer.json()["message"]
    assert len(client.get_list_of_recent_workflow_jobs(shop.id, "main")) == 1


def test_the_state_and_the_history_are_those_of_the_last_job(client, shop):
    nodes = client.get_workflow_status(shop.id, "main")
    assert all(isinstance(node, GraphNodeInfo) for node in nodes)
    stages = ["ingestion", "map", "merge", "activity", "search", "profileStore"]
    assert [node.operation_type for node in nodes] == stages
    for node in nodes:
        assert node.task_status == "successful"
        assert node.job_ids == node.last_success_job_ids == [shop.job["jobId"]]
        assert isinstance(node.last_successful_timestamp, datetime)
    tasks = client.get_list_of_workflow_task_information_history(shop.id, "main", top=4)
    assert all(isinstance(task, GraphTaskInfo) for task in tasks)
    assert [task.operation_type for task in tasks] == stages[:1:-1]
    assert all(isinstance(task.submitted_timestamp, datetime) for task in tasks)
