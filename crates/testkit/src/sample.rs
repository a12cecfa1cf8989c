//! Owns small input: an instance with a few customers, and the way to load a snapshot by the API.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Http;

/// Where the Contoso sample lies, where it is there at all.
pub fn contoso_folder() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("../shared/data/contoso");
    folder.is_dir().then_some(folder)
}

/// Polls a job until it has ended; each poll is a request, so the server is never spun upon.
pub fn wait_for_job(http: &Http, instance: &str, job: &Value) -> Value {
    let id = job["jobId"].as_str().unwrap();
    loop {
        let path = format!("/api/instances/{instance}/workflows/main/jobs/{id}");
        let job = http.get(&path).expect(200).json();
        if !matches!(job["jobStatus"].as_str(), Some("queued" | "running")) {
            return job;
        }
    }
}

/// An instance with customers `C1`, `C2`, … of a shop, and its orders as activities.
pub struct Sample {
    pub instance: String,
    http: Http,
}

impl Sample {
    /// Creates an instance and configures its activities.
    pub fn create(http: &Http) -> Self {
        let body = json!({"instanceMetadata": {"name": "Sample", "instanceType": "sandbox"}});
        let created = http
            .json("POST", "/api/instances/V2", &body)
            .expect(200)
            .json();
        let instance = created["instanceId"].as_str().unwrap().to_owned();
        let sample = Self {
            instance,
            http: http.clone(),
        };
        let orders = json!([{
            "entityName": "Shop_Orders", "primaryKey": "OrderId", "timestamp": "OrderedOn",
            "title": "Subject", "activityType": "SalesOrder", "activityName": "Order",
            "relationship": {"foreignKey": "ContactId", "toEntity": "Shop_Contacts"}
        }]);
        http.json("PUT", &sample.path("/manage/activities"), &orders)
            .expect(200);
        sample
    }

    /// One that was created before, as it is seen by another client.
    pub fn at(http: &Http, instance: &str) -> Self {
        Self {
            instance: instance.to_owned(),
            http: http.clone(),
        }
    }

    /// A path below the instance.
    pub fn path(&self, rest: &str) -> String {
        format!("/api/instances/{}{rest}", self.instance)
    }

    /// The manifest of the sample's snapshots.
    pub fn manifest(as_of: &str) -> Value {
        json!({"asOf": as_of, "entities": [
            {"name": "Customer", "entityType": "profile", "key": "CustomerId", "attributes": [
                {"name": "CustomerId", "dataType": "Edm.String"},
                {"name": "FullName", "dataType": "Edm.String"},
                {"name": "City", "dataType": "Edm.String"},
                {"name": "Score", "dataType": "Edm.Decimal"},
                {"name": "Born", "dataType": "Edm.Date"},
                {"name": "LifetimeValue", "dataType": "Edm.Double", "computed": true},
                {"name": "PreviousCustomerId", "dataType": "Edm.String"},
                {"name": "ContactId", "dataType": "Edm.String",
                 "alternateKey": {"dataSourceName": "Shop", "entityName": "Contacts"}}]},
            {"name": "Shop_Orders", "entityType": "activity", "key": "OrderId", "attributes": [
                {"name": "OrderId", "dataType": "Edm.String"},
                {"name": "ContactId", "dataType": "Edm.String"},
                {"name": "OrderedOn", "dataType": "Edm.DateTimeOffset"},
                {"name": "Subject", "dataType": "Edm.String"}]}]})
    }

    /// `count` customers as CSV: `C1` lives in `Oslo 1`, has the score 1 and the contact `K1`.
    pub fn customers(count: usize) -> String {
        let mut csv = String::from(
            "CustomerId,FullName,City,Score,Born,LifetimeValue,PreviousCustomerId,ContactId\n",
        );
        for number in 1..=count {
            csv.push_str(&format!(
                "C{number},Name {number},Oslo {number},{number},1980-01-01,{number}.5,,K{number}\n"
            ));
        }
        csv
    }

    /// One order of each of the first `count` customers, as CSV.
    pub fn orders(count: usize) -> String {
        let mut csv = String::from("OrderId,ContactId,OrderedOn,Subject\n");
        for number in 1..=count {
            csv.push_str(&format!(
                "O{number},K{number},2026-11-01T10:00:00Z,Order {number}\n"
            ));
        }
        csv
    }

    /// Loads a snapshot and gives the ended job.
    pub fn load(&self, as_of: &str, customers: &str, orders: &str) -> Value {
        let job = self.upload(as_of, customers, orders);
        wait_for_job(&self.http, &self.instance, &job)
    }

    /// Uploads a snapshot and gives the job that was queued.
    pub fn upload(&self, as_of: &str, customers: &str, orders: &str) -> Value {
        let opened = self
            .http
            .json("POST", &self.path("/snapshots"), &Self::manifest(as_of));
        let id = opened.expect(201).json()["snapshotId"]
            .as_str()
            .unwrap()
            .to_owned();
        for (entity, rows) in [("Customer", customers), ("Shop_Orders", orders)] {
            let path = self.path(&format!("/snapshots/{id}/entities/{entity}/parts/1"));
            let headers = [("Content-Type", "text/csv")];
            self.http
                .send("PUT", &path, &headers, rows.as_bytes())
                .expect(204);
        }
        let path = self.path(&format!("/snapshots/{id}/commit"));
        self.http.send("POST", &path, &[], b"").expect(202).json()
    }
}
