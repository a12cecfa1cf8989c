"""Data sources in buckets: read from servers that speak S3 and Azure, skipped while unchanged, refused with reason."""

import gzip
import io
import json
import uuid

import arro3.io
import pytest
import zstandard
from arro3.core import Array, DataType, Table

from buckets import S3, Azure
from conftest import published_client
from server import Http
from shop import instant, until_ended

FULL_NAMES = {"C1": "Kari Nordmann", "C2": "Ola Nordmann", "C3": "Åse Øye"}


def manifest(as_of: str) -> bytes:
    attributes = [{"name": name, "dataType": "Edm.String"} for name in ("CustomerId", "FullName")]
    customer = {"name": "Customer", "entityType": "profile", "key": "CustomerId", "attributes": attributes}
    customer["files"] = ["customers/*.csv.gz", "customers/**/*.ndjson.zst", "more.parquet"]
    return json.dumps({"asOf": as_of, "entities": [customer]}).encode()


def csv(name: str) -> bytes:
    return gzip.compress(f"CustomerId,FullName\nC1,{name}\n".encode())


def upload(bucket) -> None:
    """Puts a customer into each kind of file, below the prefix `nightly`."""
    row = json.dumps({"CustomerId": "C2", "FullName": FULL_NAMES["C2"]}).encode()
    columns = {"CustomerId": ["C3"], "FullName": [FULL_NAMES["C3"]]}
    table = Table.from_pydict({name: Array(values, DataType.utf8()) for name, values in columns.items()})
    parquet = io.BytesIO()
    arro3.io.write_parquet(table, parquet)
    bucket.put("nightly/customers/1.csv.gz", csv(FULL_NAMES["C1"]))
    bucket.put("nightly/customers/deep/a b.ndjson.zst", zstandard.compress(row + b"\n"))
    bucket.put("nightly/more.parquet", parquet.getvalue())
    bucket.put("nightly/snapshot.json", manifest(instant(minutes=-10)))


class Place:
    """A server that may read some buckets, and an instance on it."""

    def __init__(self, start_server, *settings: str):
        self._server = start_server(*settings)
        self.http = Http(self._server.url)
        self.client = published_client(self._server.url + "/api")
        body = {"instanceMetadata": {"name": "Shop", "instanceType": "sandbox"}}
        self.instance = self.http.send("POST", "/api/instances/V2", json=body, expect=200).json()["instanceId"]
        self.source = str(uuid.uuid4())

    def put(self, location: str, credentials: str | None = "good", expect: int = 200) -> dict:
        path = f"/api/instances/{self.instance}/manage/datasources/{self.source}"
        body = {"friendlyName": "nightly", "kind": "folder", "location": location}
        if credentials:
            body["credentials"] = {"name": credentials}
        return self.http.send("PUT", path, json=body, expect=expect).json()

    def refresh(self) -> dict:
        """Refreshes, and gives the job as it ended."""
        job = self.client.submit_a_workflow_job(
            self.instance, "main", operation_type="all", identifiers=[self.source]
        ).job_id
        path = f"/api/instances/{self.instance}/workflows/main/jobs/{job}"
        return until_ended(lambda: self.http.get(path).json(), lambda found: found["jobStatus"])

    def names(self) -> dict[str, str]:
        path = f"/api/instances/{self.instance}/data/Customer?$select=CustomerId,FullName"
        rows = self.http.get(path).json()["value"]
        return {row["CustomerId"]: row["FullName"] for row in rows}

    def log(self) -> str:
        return self._server.log()

    def close(self) -> None:
        self.http.close()
        self.client.close()


def secret(name: str, **fields: str) -> list[str]:
    return [f"secrets.{name}.{key}={value}" for key, value in fields.items()]


@pytest.fixture(scope="module")
def s3():
    s3 = S3()
    yield s3
    s3.stop()


@pytest.fixture(scope="module")
def at_s3(s3, start_server):
    keys = {"access_key_id": s3.key_id, "secret_access_key": s3.key, "endpoint": s3.endpoint, "allow_http": "true"}
    unknown = keys | {"access_key_id": "AKIAUNKNOWNUNKNOWN00"}
    wrong = keys | {"secret_access_key": "hidden-and-wrong"}
    place = Place(
        start_server,
        "actors.data_source_buckets=s3://shop/nightly,s3://missing",
        "actors.bucket_retry_wait=10ms",
        *secret("good", **keys),
        *secret("unknown", **unknown),
        *secret("wrong", **wrong),
    )
    yield place
    place.close()


@pytest.fixture(scope="module")
def azure(tmp_path_factory):
    why_not = Azure.why_not()
    if why_not:
        print(f"Azure is not tried: {why_not}")
        pytest.skip(why_not)
    azure = Azure(tmp_path_factory.mktemp("azurite"))
    yield azure
    azure.stop()


@pytest.fixture(scope="module")
def at_azure(azure, start_server):
    keys = {"account": azure.account, "access_key": azure.key, "endpoint": azure.endpoint, "allow_http": "true"}
    place = Place(
        start_server,
        "actors.data_source_buckets=az://shop/nightly,az://missing",
        "actors.bucket_retry_wait=10ms",
        *secret("good", **keys),
        *secret("wrong", **(keys | {"access_key": "aGlkZGVuLWFuZC13cm9uZw=="})),
    )
    yield place
    place.close()


def check_refreshes(bucket, place: Place, location: str) -> None:
    """What is new is loaded, what is not is passed over."""
    upload(bucket)
    put = place.put(location)["dataSourceMetadata"]
    assert (put["location"], put["credentials"]) == (location, {"name": "good"})
    job = place.refresh()
    assert job["jobStatus"] == "successful", job
    assert place.names() == FULL_NAMES

    assert place.refresh()["jobStatus"] == "skipped"
    bucket.put("nightly/customers/1.csv.gz", csv("Kari Hansen"))
    assert place.refresh()["jobStatus"] == "successful"
    assert place.names() == FULL_NAMES | {"C1": "Kari Hansen"}
    assert place.refresh()["jobStatus"] == "skipped"

    # A pattern finds what is new.
    bucket.put("nightly/customers/2.csv.gz", gzip.compress(b"CustomerId,FullName\nC4,Per\n"))
    assert place.refresh()["jobStatus"] == "successful"
    assert place.names()["C4"] == "Per"

    metadata = place.client.get_data_source(place.instance, place.source).data_source_metadata
    assert (metadata.refresh_state, metadata.entity_names) == ("updated", ["Customer"])


def failure(place: Place, location: str, credentials: str) -> str:
    """What a refresh from there fails with."""
    place.put(location, credentials)
    job = place.refresh()
    assert job["jobStatus"] == "failed", job
    assert "hidden-and-wrong" not in json.dumps(job) + place.log()
    return json.dumps(job, ensure_ascii=False)


def test_a_bucket_of_s3_is_refreshed_from(s3, at_s3):
    check_refreshes(s3, at_s3, "s3://shop/nightly")


def test_a_container_of_azure_is_refreshed_from(azure, at_azure):
    check_refreshes(azure, at_azure, "az://shop/nightly")


def test_only_allowed_buckets_are_read_and_only_with_a_secret_that_fits(at_s3):
    for location, credentials, why in [
        ("s3://shop", "good", "in none of the buckets"),
        ("s3://shop/nightly2", "good", "in none of the buckets"),
        ("s3://shop/nightly/../other", "good", "segments, . or .."),
        ("s3://others/nightly", "good", "in none of the buckets"),
        ("az://shop/nightly", "good", "in none of the buckets"),
        ("s3://shop/nightly", "none", "no secret"),
        ("s3://shop/nightly", None, "with credentials"),
        ("gs://shop/nightly", "good", "scheme is unknown"),
    ]:
        refused = at_s3.put(location, credentials, expect=400)
        assert why in refused["message"], (location, refused)


def test_refused_credentials_and_missing_buckets_say_so(at_s3):
    for location, credentials, why in [
        ("s3://shop/nightly", "unknown", "refuses the credentials (403"),
        ("s3://shop/nightly", "wrong", "refuses the credentials (403"),
        ("s3://missing/nightly", "good", "there is no such bucket"),
        ("s3://shop/nightly/empty", "good", "snapshot.json: there is no such file"),
    ]:
        message = failure(at_s3, location, credentials)
        assert why in message, (location, credentials, message)


def test_azure_refuses_a_wrong_key_and_a_missing_container_with_reason(at_azure):
    assert "refuses the credentials (403" in failure(at_azure, "az://shop/nightly", "wrong")
    assert "there is no such bucket" in failure(at_azure, "az://missing/nightly", "good")
