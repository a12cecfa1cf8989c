//! The Contoso sample as real input: loaded by the API, its figures computed here anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use sanntid_testkit::{Http, TestServer, contoso_folder, wait_for_job};
use serde_json::{Value, json};

/// File, column of the foreign key, column of the customers that it names.
const ACTIVITIES: [(&str, &str, &str); 3] = [
    (
        "Ecommerce_OnlinePurchases",
        "ContactId",
        "Ecommerce_Contacts_ContactId",
    ),
    (
        "PoS_PosPurchases",
        "LoyaltyId",
        "Loyalty_Customers_LoyaltyId",
    ),
    ("Website_Reviews", "UserId", "Ecommerce_Contacts_ContactId"),
];

/// The plainest reader of the sample's CSV: quoted fields, no line breaks within them.
fn rows(folder: &Path, name: &str) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(folder.join(format!("{name}.csv"))).unwrap();
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let header = fields(lines.next().unwrap());
    let named = |line: &str| header.iter().cloned().zip(fields(line)).collect();
    lines.filter(|line| !line.is_empty()).map(named).collect()
}

fn fields(line: &str) -> Vec<String> {
    let (mut found, mut field, mut quoted) = (Vec::new(), String::new(), false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    found.push(field);
    found
}

/// What the sample's own files say, by another way than the server's.
struct Expected {
    customers: usize,
    rows: usize,
    per_customer: BTreeMap<String, usize>,
    /// Entity and primary key of rows whose key no customer has.
    unmatched: BTreeSet<(String, String)>,
}

fn expected(folder: &Path) -> Expected {
    let customers = rows(folder, "Customer");
    let mut expected = Expected {
        customers: customers.len(),
        rows: customers.len(),
        per_customer: BTreeMap::new(),
        unmatched: BTreeSet::new(),
    };
    for (entity, foreign_key, column) in ACTIVITIES {
        let by_key: BTreeMap<&str, &str> = customers
            .iter()
            .flat_map(|row| {
                row[column]
                    .split(';')
                    .map(|key| (key, row["CustomerId"].as_str()))
            })
            .filter(|(key, _)| !key.is_empty())
            .collect();
        for row in rows(folder, entity) {
            expected.rows += 1;
            match by_key.get(row[foreign_key].trim()) {
                Some(customer) => {
                    *expected
                        .per_customer
                        .entry((*customer).to_owned())
                        .or_default() += 1
                }
                None => {
                    let key = row.get("PurchaseId").or(row.get("ReviewId")).unwrap();
                    expected.unmatched.insert((entity.to_owned(), key.clone()));
                }
            }
        }
    }
    expected
}

fn load(http: &Http, folder: &Path) -> (String, Value) {
    let manifest = fs::read_to_string("examples/contoso/snapshot.json").unwrap();
    let mut manifest: Value = serde_json::from_str(&manifest).unwrap();
    for entity in manifest["entities"].as_array_mut().unwrap() {
        entity.as_object_mut().unwrap().remove("files");
    }
    let configured = fs::read_to_string("examples/contoso/activities.json").unwrap();
    let body = json!({"instanceMetadata": {"name": "Contoso"}});
    let created = http
        .json("POST", "/api/instances/V2", &body)
        .expect(200)
        .json();
    let id = created["instanceId"].as_str().unwrap().to_owned();
    let path = |rest: &str| format!("/api/instances/{id}{rest}");
    let configured = serde_json::from_str(&configured).unwrap();
    http.json("PUT", &path("/manage/activities"), &configured)
        .expect(200);
    let opened = http
        .json("POST", &path("/snapshots"), &manifest)
        .expect(201)
        .json();
    let upload = opened["snapshotId"].as_str().unwrap();
    for entity in [
        "Customer",
        "Ecommerce_OnlinePurchases",
        "PoS_PosPurchases",
        "Website_Reviews",
    ] {
        let bytes = fs::read(folder.join(format!("{entity}.csv"))).unwrap();
        let part = path(&format!("/snapshots/{upload}/entities/{entity}/parts/1"));
        http.send("PUT", &part, &[("Content-Type", "text/csv")], &bytes)
            .expect(204);
    }
    let commit = path(&format!("/snapshots/{upload}/commit"));
    let job = http.send("POST", &commit, &[], b"").expect(202).json();
    let job = wait_for_job(http, &id, &job);
    (id, job)
}

#[test]
fn the_samples_figures_are_those_of_its_files() {
    let Some(folder) = contoso_folder() else {
        println!("skipped: the Contoso sample is not beside this checkout");
        return;
    };
    let expected = expected(&folder);
    let server = TestServer::start();
    let http = &server.http;
    let (id, job) = load(http, &folder);
    assert_eq!(job["jobStatus"], "successful", "{job}");
    let report = &job["report"];
    let matched: usize = expected.per_customer.values().sum();
    for (name, value) in [
        ("profiles", expected.customers),
        ("rowsRead", expected.rows),
        ("rowsRejected", 0),
        ("activities", matched),
        ("activitiesUnmatched", expected.unmatched.len()),
    ] {
        assert_eq!(report[name], value, "{name}");
    }
    let path = |rest: &str| format!("/api/instances/{id}{rest}");
    let rejections = format!(
        "/workflows/main/jobs/{}/rejections?top=100",
        job["jobId"].as_str().unwrap()
    );
    let listed = http.get(&path(&rejections)).expect(200).json();
    let listed = listed
        .as_array()
        .or(listed["value"].as_array())
        .unwrap()
        .clone();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let unmatched: BTreeSet<_> = listed
        .iter()
        .map(|row| (text(row, "entity"), text(row, "key")))
        .collect();
    assert_eq!(unmatched, expected.unmatched);
    assert!(
        listed
            .iter()
            .all(|row| text(row, "reason").contains("no customer has the key"))
    );

    let most = expected
        .per_customer
        .iter()
        .max_by_key(|(_, count)| **count)
        .unwrap();
    let some = expected.per_customer.iter().step_by(97).chain([most]);
    for (customer, count) in some {
        let counts = path(&format!(
            "/profile/activityresponsemetadata?customerId={customer}"
        ));
        assert_eq!(
            http.get(&counts).expect(200).json()["totalCount"],
            *count,
            "{customer}"
        );
    }
    let by_key = path("/data/Customer?$filter=Ecommerce_Contacts_ContactId%20eq%20'CNTID_1002'");
    assert_eq!(
        http.get(&by_key).expect(200).json()["value"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let counted = path("/data/UnifiedActivity?$count=true&$top=1");
    assert_eq!(
        http.get(&counted).expect(200).json()["@odata.count"],
        matched
    );
}
