"""Data sources through the published client: listed, shown, refreshed from, deleted."""

import json
import uuid
from datetime import datetime

import pytest
from dynamics.customerinsights.api.models import DataSourceInfo

from conftest import published_client
from server import Http
from shop import CUSTOMERS, instant, until_ended

MANIFEST = {
    "entities": [
        {
            "name": "Customer",
            "entityType": "profile",
            "key": "CustomerId",
            "files": ["Customer.csv"],
            "attributes": [{"name": name, "dataType": "Edm.String"} for name in ("CustomerId", "FullName", "City")],
        }
    ]
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Customer.csv").write_text(CUSTOMERS)
    (tmp_path / "snapshot.json").write_text(json.dumps(MANIFEST | {"asOf": instant()}))
    return tmp_path


def test_a_data_source_is_refreshed_from_and_deleted(start_server, folder):
    server = start_server(f"actors.data_source_folders={folder}")
    http = Http(server.url)
    client = published_client(server.url + "/api")
    body = {"instanceMetadata": {"name": "Shop", "instanceType": "sandbox"}}
    instance = http.send("POST", "/api/instances/V2", json=body, expect=200).json()["instanceId"]
    assert client.get_all_data_sources(instance) == []

    source = str(uuid.uuid4())
    path = f"/api/instances/{instance}/manage/datasources/{source}"
    body = {"friendlyName": "nightly", "kind": "folder", "location": f"file://{folder}"}
    http.send("PUT", path, json=body, expect=200)
    job = client.submit_a_workflow_job(instance, "main", operation_type="all", identifiers=[source])
    ended = until_ended(
        lambda: client.get_a_workflow_job_information(instance, "main", job.job_id), lambda found: found.job_status
    )
    assert ended.job_status == "successful"
    found = client.get_data_source(instance, source)
    assert isinstance(found, DataSourceInfo)
    metadata = found.data_source_metadata
    assert (metadata.friendly_name, metadata.refresh_state) == ("nightly", "updated")
    assert metadata.entity_names == ["Customer"]
    assert isinstance(metadata.last_refresh, datetime)
    (listed,) = client.get_all_data_sources(instance)
    assert listed.data_source_metadata.data_source_id == source

    client.delete_a_data_source(instance, source)
    assert client.get_all_data_sources(instance) == []
    http.close()
