"""Owns the sample: an instance with three customers of a shop, and one order of each as its activity."""

import time
import uuid
from datetime import datetime, timedelta, timezone

from server import STEP_MAX_SECONDS, Http

CUSTOMERS = """\
CustomerId,FullName,City,Income,Points,Born,LifetimeValue,PreviousCustomerId,Shop_Contacts_ContactId
C1,Kari Nordmann,Oslo,52000.5,9007199254740993,1980-02-29,120.5,,K1;K1b
C2,Ola Nordmann,Bergen,41000,2,1975-12-01,80,old-C2,K2
Å 3% 'x',Åse Øye,Tromsø,,3,1990-06-15,,,K3
"""
ODD_ID = "Å 3% 'x'"
ORDERS = """\
OrderId,ContactId,OrderedOn,Subject
O1,K1,2026-03-01T10:00:00Z,Order 1
O2,K2,2026-03-02T10:00:00Z,Order 2
O3,K3,2026-03-03T10:00:00Z,Order 3
"""
ACTIVITIES = [
    {
        "entityName": "Shop_Orders",
        "primaryKey": "OrderId",
        "timestamp": "OrderedOn",
        "title": "Subject",
        "activityType": "SalesOrder",
        "activityName": "Order",
        "relationship": {"foreignKey": "ContactId", "toEntity": "Shop_Contacts"},
    }
]


def instant(**offset: float) -> str:
    """Now, moved by an offset such as `hours=1`, as it is written on the wire."""
    moment = datetime.now(timezone.utc) + timedelta(**offset)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def visit(**fields) -> dict:
    """An activity of C1 in the unified format."""
    document = {
        "CustomerId": "C1",
        "ActivityId": f"visit-{uuid.uuid4()}",
        "ActivityTime": "2026-04-01T12:00:00.000Z",
        "ActivityType": "Visit",
        "Title": "Came by",
    }
    return document | fields


def manifest(as_of: str) -> dict:
    def attributes(names: str) -> list[dict]:
        return [{"name": name, "dataType": "Edm.String"} for name in names.split()]

    customer = attributes("CustomerId FullName City") + [
        {"name": "Income", "dataType": "Edm.Double"},
        {"name": "Points", "dataType": "Edm.Int64"},
        {"name": "Born", "dataType": "Edm.Date"},
        {"name": "LifetimeValue", "dataType": "Edm.Double", "computed": True},
        {"name": "PreviousCustomerId", "dataType": "Edm.String"},
        {
            "name": "Shop_Contacts_ContactId",
            "dataType": "Edm.String",
            "alternateKey": {"dataSourceName": "Shop", "entityName": "Contacts"},
        },
    ]
    orders = attributes("OrderId ContactId Subject") + [{"name": "OrderedOn", "dataType": "Edm.DateTimeOffset"}]
    return {
        "asOf": as_of,
        "entities": [
            {"name": "Customer", "entityType": "profile", "key": "CustomerId", "attributes": customer},
            {"name": "Shop_Orders", "entityType": "activity", "key": "OrderId", "attributes": orders},
        ],
    }


class Shop:
    """One instance with the sample in it, reached by plain HTTP."""

    def __init__(self, http: Http):
        self.http = http
        body = {"instanceMetadata": {"name": "Shop", "instanceType": "sandbox"}}
        self.id = http.send("POST", "/api/instances/V2", json=body, expect=200).json()["instanceId"]
        http.send("PUT", self.path("/manage/activities"), json=ACTIVITIES, expect=200)
        self.job = self.load()

    def path(self, rest: str) -> str:
        return f"/api/instances/{self.id}{rest}"

    def load(self, customers: str = CUSTOMERS, orders: str = ORDERS, as_of: str | None = None) -> dict:
        """Uploads a snapshot, by default one that saw the source an hour ago; gives its ended job."""
        as_of = as_of or instant(hours=-1)
        opened = self.http.send("POST", self.path("/snapshots"), json=manifest(as_of), expect=201)
        snapshot = self.path(f"/snapshots/{opened.json()['snapshotId']}")
        for entity, rows in (("Customer", customers), ("Shop_Orders", orders)):
            part = f"{snapshot}/entities/{entity}/parts/1"
            csv = {"Content-Type": "text/csv"}
            self.http.send("PUT", part, data=rows.encode(), headers=csv, expect=204)
        job = self.http.send("POST", f"{snapshot}/commit", expect=202).json()

        def current() -> dict:
            return self.http.get(self.path(f"/workflows/main/jobs/{job['jobId']}")).json()

        ended = until_ended(current, lambda found: found["jobStatus"])
        assert ended["jobStatus"] == "successful", ended
        return ended

    def profile(self, profile_id: str, query: str = "") -> dict:
        return self.http.get(self.path(f"/data/Customer/{profile_id}{query}")).json()

    def timeline(self, profile_id: str) -> list[str]:
        """The ids of a customer's activities, newest first."""
        entries = self.http.get(self.path(f"/customers/{profile_id}/timeline")).json()["value"]
        return [entry["ActivityId"] for entry in entries]


def until_ended(read, status):
    """Reads a job until it has ended; each reading is a request, so that nothing spins."""
    deadline = time.monotonic() + STEP_MAX_SECONDS
    while status(job := read()) in ("queued", "running"):
        assert time.monotonic() < deadline, f"the job did not end: {job}"
    return job
