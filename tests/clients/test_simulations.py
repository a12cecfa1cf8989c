"""Simulated refreshes, asked for by plain HTTP, as the published client sees them and their generation."""

from dynamics.customerinsights.api.models import GraphJobInfo

from conftest import document
from shop import instant, until_ended, visit


def simulated(client, shop, **body) -> GraphJobInfo:
    job = shop.http.send("POST", shop.path("/workflows/main/simulations"), json=body, expect=202).json()

    def current() -> GraphJobInfo:
        return client.get_a_workflow_job_information(shop.id, "main", job["jobId"], include_tasks=True)

    return until_ended(current, lambda found: found.job_status)


def test_a_simulation_is_a_job_that_the_client_reads(client, shop):
    client.update_an_entity(shop.id, "Customer", "C1", document(City="Bodø"))
    job = simulated(client, shop)
    assert isinstance(job, GraphJobInfo)
    assert (job.job_status, job.operation_type) == ("successful", "all")
    assert all(task.task_status == "successful" for task in job.tasks)
    assert job.additional_properties["report"]["overlayFieldsCleared"] == 1
    assert shop.profile("C1")["City"] == "Oslo"
    assert client.get_list_of_recent_workflow_jobs(shop.id, "main", top=1)[0].job_id == job.job_id


def test_what_is_absorbed_stays_where_the_client_looks_for_it(client, shop):
    client.update_an_entity(shop.id, "Customer", "C1", document(City="Bodø"))
    client.create_an_entity(shop.id, "UnifiedActivity", document(**visit(ActivityId="v1")))
    before = shop.timeline("C1")
    job = simulated(client, shop, absorb=True)
    assert job.additional_properties["report"]["activitiesSuperseded"] == 1
    assert shop.profile("C1")["City"] == "Bodø"
    assert shop.profile("C1", "?view=source")["City"] == "Bodø"
    assert shop.timeline("C1") == before
    # The source of truth is not to be had of it, until it is one again.
    shop.http.get(shop.path("/exports/Customer"), expect=409)
    shop.load(as_of=instant())
    shop.http.get(shop.path("/exports/Customer"))
    assert shop.profile("C1")["City"] == "Oslo"
    assert shop.timeline("C1") == before


def test_a_dry_run_says_what_would_be_cleared_and_clears_nothing(client, shop):
    client.update_an_entity(shop.id, "Customer", "C1", document(City="Bodø"))
    path = shop.path("/workflows/main/simulations")
    report = shop.http.send("POST", path, json={"dryRun": True}, expect=200).json()
    assert report["clears"] == [{"profileId": "C1", "field": "City"}]
    assert shop.profile("C1")["City"] == "Bodø"
