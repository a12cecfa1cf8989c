"""Delta tables as delta-rs writes them: partitioned, appended to, overwritten, rows deleted, columns mapped, checkpoints."""

import json
import shutil
import uuid
from datetime import date, datetime, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from buckets import S3
from server import Http
from shop import instant, until_ended

SCHEMA = pa.schema(
    [
        ("CustomerId", pa.string()),
        ("FullName", pa.string()),
        ("City", pa.string()),
        ("Income", pa.float64()),
        ("Points", pa.int64()),
        ("Balance", pa.decimal128(12, 2)),
        ("Born", pa.date32()),
        ("SeenAt", pa.timestamp("us", tz="UTC")),
        ("IsMember", pa.bool_()),
    ]
)
KARI = {
    "CustomerId": "C1",
    "FullName": "Kari Nordmann",
    "City": "Oslo",
    "Income": 52000.5,
    "Points": 9007199254740993,
    "Balance": Decimal("12.30"),
    "Born": date(1980, 2, 29),
    "SeenAt": datetime(2026, 3, 1, 10, 11, 12, 345678, timezone.utc),
    "IsMember": True,
}
OLA = {"CustomerId": "C2", "FullName": "Ola Nordmann", "City": "Bergen / Åsane", "Points": 2}
ASE = {"CustomerId": "Å 3% 'x'", "FullName": "Åse Øye"}
KARI_SHOWN = {
    "CustomerId": "C1",
    "FullName": "Kari Nordmann",
    "City": "Oslo",
    "Income": 52000.5,
    "Points": 9007199254740993,
    "Balance": 12.3,
    "Born": "1980-02-29",
    "SeenAt": "2026-03-01T10:11:12.345678Z",
    "IsMember": True,
}


def rows(*customers: dict) -> pa.Table:
    return pa.Table.from_pylist(list(customers), schema=SCHEMA)


def manifest() -> dict:
    """One entity, with the table's attributes."""
    entity = {"name": "Customer", "entityType": "profile", "key": "CustomerId", "files": ["customers/"]}
    return {"asOf": instant(minutes=-10), "entities": [entity | {"attributes": []}]}


class Folder:
    """A folder with a manifest that names the table `customers/` and no attributes, and a source that reads it."""

    def __init__(self, start_server, path):
        self.path = path
        self.table = str(path / "customers")
        (path / "snapshot.json").write_text(json.dumps(manifest()))
        self.http = Http(start_server(f"actors.data_source_folders={path}").url)
        self.source = Source(self.http, {"location": f"file://{path}"})

    def refresh(self) -> dict:
        return self.source.refresh()

    def customers(self) -> dict[str, dict]:
        return self.source.customers()


class Source:
    """An instance with one data source."""

    def __init__(self, http: Http, spec: dict):
        self.http = http
        body = {"instanceMetadata": {"name": "Shop", "instanceType": "sandbox"}}
        instance = http.send("POST", "/api/instances/V2", json=body, expect=200).json()["instanceId"]
        self.path = f"/api/instances/{instance}"
        body = {"friendlyName": "nightly", "kind": "folder"} | spec
        http.send("PUT", f"{self.path}/manage/datasources/{uuid.uuid4()}", json=body, expect=200)

    def refresh(self) -> dict:
        """Refreshes, and gives the job as it ended."""
        body = {"operationType": "all"}
        path = f"{self.path}/workflows/main/jobs"
        job = self.http.send("POST", path, json=body, expect=200).json()["jobId"]
        return until_ended(lambda: self.http.get(f"{path}/{job}").json(), lambda found: found["jobStatus"])

    def customers(self) -> dict[str, dict]:
        """By id, without what is null."""
        found = self.http.get(f"{self.path}/data/Customer?$orderby=CustomerId").json()["value"]
        return {
            row["CustomerId"]: {name: value for name, value in row.items() if value is not None and "@" not in name}
            for row in found
        }


@pytest.fixture
def folder(start_server, tmp_path):
    folder = Folder(start_server, tmp_path)
    yield folder
    folder.http.close()


def ids(folder: Folder) -> set[str]:
    return set(folder.customers())


def test_a_partitioned_table_is_read_in_its_newest_version(folder):
    write_deltalake(folder.table, rows(KARI, OLA, ASE), partition_by=["City"])
    ended = folder.refresh()
    assert ended["jobStatus"] == "successful", ended
    customers = folder.customers()
    assert set(customers) == {"C1", "C2", ASE["CustomerId"]}
    assert {name: customers["C1"].get(name) for name in KARI_SHOWN} == KARI_SHOWN
    assert customers["C2"]["City"] == OLA["City"]
    assert "City" not in customers[ASE["CustomerId"]]

    assert folder.refresh()["jobStatus"] == "skipped"
    write_deltalake(folder.table, rows(KARI | {"CustomerId": "C4"}), mode="append")
    assert folder.refresh()["jobStatus"] == "successful"
    assert ids(folder) == {"C1", "C2", "C4", ASE["CustomerId"]}
    assert folder.refresh()["jobStatus"] == "skipped"

    DeltaTable(folder.table).delete("CustomerId = 'C1'")
    assert folder.refresh()["jobStatus"] == "successful"
    assert ids(folder) == {"C2", "C4", ASE["CustomerId"]}

    write_deltalake(folder.table, rows(OLA | {"City": "Oslo"}), mode="overwrite")
    assert folder.refresh()["jobStatus"] == "successful"
    assert {key: row["City"] for key, row in folder.customers().items()} == {"C2": "Oslo"}


def test_checkpoints_and_compacted_files_are_the_same_table(folder):
    write_deltalake(folder.table, rows(KARI), partition_by=["City"])
    for number in range(5):
        write_deltalake(folder.table, rows(OLA | {"CustomerId": f"X{number}"}), mode="append")
    table = DeltaTable(folder.table)
    table.delete("CustomerId = 'X1'")
    table.create_checkpoint()
    table.cleanup_metadata()
    expected = {"C1", "X0", "X2", "X3", "X4"}
    log = folder.path / "customers" / "_delta_log"
    # What a checkpoint stands for may be gone.
    for version in range(6):
        (log / f"{version:020}.json").unlink(missing_ok=True)
    assert folder.refresh()["jobStatus"] == "successful"
    assert ids(folder) == expected

    DeltaTable(folder.table).optimize.compact()
    assert folder.refresh()["jobStatus"] == "successful"
    assert ids(folder) == expected
    DeltaTable(folder.table).vacuum(0, dry_run=False, enforce_retention_duration=False)
    assert folder.refresh()["jobStatus"] in ("skipped", "successful")
    assert ids(folder) == expected


def test_columns_that_are_mapped_by_name_have_their_logical_names(folder):
    mapped = {"delta.columnMapping.mode": "name"}
    write_deltalake(folder.table, rows(KARI, OLA), partition_by=["City"], configuration=mapped)
    assert DeltaTable(folder.table).protocol().min_reader_version == 2
    assert folder.refresh()["jobStatus"] == "successful"
    customers = folder.customers()
    assert {name: customers["C1"].get(name) for name in KARI_SHOWN} == KARI_SHOWN
    assert customers["C2"]["City"] == OLA["City"]


def test_a_table_that_can_t_be_read_fails_the_job_and_changes_nothing(folder):
    write_deltalake(folder.table, rows(KARI))
    assert folder.refresh()["jobStatus"] == "successful"
    log = folder.path / "customers" / "_delta_log"
    feature = {"minReaderVersion": 3, "minWriterVersion": 7}
    feature |= {"readerFeatures": ["quantumRows"], "writerFeatures": ["quantumRows"]}
    commit = log / f"{1:020}.json"
    for text, why in [
        (json.dumps({"protocol": feature}), "quantumRows"),
        ('{"add":', "line 1"),
        (json.dumps({"add": {"path": "../secret.parquet"}}), "is missing"),
    ]:
        commit.write_text(text)
        ended = folder.refresh()
        assert ended["jobStatus"] == "failed", text
        assert why in json.dumps(ended), ended
        assert ids(folder) == {"C1"}
    commit.unlink()
    shutil.rmtree(log)
    assert folder.refresh()["jobStatus"] == "failed"
    assert ids(folder) == {"C1"}


def test_a_table_in_a_bucket_is_read_like_one_in_a_folder(start_server, tmp_path):
    bucket = S3()
    table = tmp_path / "customers"

    def upload() -> None:
        for path in table.rglob("*"):
            if path.is_file():
                bucket.put(f"nightly/{path.relative_to(tmp_path)}", path.read_bytes())

    write_deltalake(str(table), rows(KARI, OLA), partition_by=["City"])
    upload()
    bucket.put("nightly/snapshot.json", json.dumps(manifest()).encode())
    server = start_server(
        "actors.data_source_buckets=s3://shop/nightly",
        f"secrets.good.access_key_id={bucket.key_id}",
        f"secrets.good.secret_access_key={bucket.key}",
        f"secrets.good.endpoint={bucket.endpoint}",
        "secrets.good.allow_http=true",
    )
    http = Http(server.url)
    source = Source(http, {"location": "s3://shop/nightly", "credentials": {"name": "good"}})
    ended = source.refresh()
    assert ended["jobStatus"] == "successful", ended
    customers = source.customers()
    assert {name: customers["C1"].get(name) for name in KARI_SHOWN} == KARI_SHOWN
    assert customers["C2"]["City"] == OLA["City"]
    assert source.refresh()["jobStatus"] == "skipped"
    DeltaTable(str(table)).delete("CustomerId = 'C1'")
    upload()
    assert source.refresh()["jobStatus"] == "successful"
    assert set(source.customers()) == {"C2"}
    http.close()
    bucket.stop()
