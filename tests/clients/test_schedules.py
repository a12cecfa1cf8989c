"""Refresh schedules through the published client."""

import uuid

import pytest
from dynamics.customerinsights.api import models

from shop import Shop


@pytest.fixture(scope="module")
def shop(http):
    return Shop(http)


def schedule(**fields) -> models.WorkflowRefreshSchedule:
    return models.WorkflowRefreshSchedule(
        is_active=True, timezone_id="W. Europe Standard Time", cron_schedules=["0 2 * * SUN"], **fields
    )


def test_schedules_are_made_and_listed(client, shop):
    assert client.get_workflow_schedules(shop.id, "main") == []
    made = client.create_workflow_refresh_schedule(shop.id, "main", schedule())
    assert made.is_active
    assert made.cron_schedules == ["0 2 * * SUN"]
    other = schedule(schedule_id=str(uuid.uuid4()))
    (batched,) = client.create_a_batch_of_workflow_refresh_schedules(shop.id, "main", [other])
    assert batched.schedule_id == other.schedule_id
    listed = client.get_workflow_schedules(shop.id, "main")
    assert {item.schedule_id for item in listed} == {made.schedule_id, other.schedule_id}


def test_supported_timezones_have_both_kinds_of_names(client, shop):
    zones = client.get_supported_timezones(workflow_name="main", instance_id=shop.id)
    assert {"Europe/Oslo", "W. Europe Standard Time"} <= {zone.id for zone in zones}
