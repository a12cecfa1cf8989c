//! Loads the Contoso sample into a server of its own and shows one customer's card.
//!
//! `cargo run --example contoso`. The sample lies beside the checkout; where it does not, this says
//! so and ends. The manifest and the activity configuration beside this file are what a user of the
//! sample would write.

#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program that prints what the server answered"
)]

use std::{fs, path::Path};

use sanntid_testkit::{TestServer, contoso_folder, wait_for_job};
use serde_json::{Value, json};

fn main() {
    let Some(folder) = contoso_folder() else {
        println!("skipped: the Contoso sample is not beside this checkout");
        return;
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/contoso");
    let server = TestServer::start();
    let http = &server.http;
    let new = json!({"instanceMetadata": {"name": "Contoso"}});
    let created = http
        .json("POST", "/api/instances/V2", &new)
        .expect(200)
        .json();
    let instance = created["instanceId"].as_str().expect("an id").to_owned();
    let path = |rest: &str| format!("/api/instances/{instance}{rest}");
    let activities = read(&here.join("activities.json"));
    http.json("PUT", &path("/manage/activities"), &activities)
        .expect(200);

    let mut manifest = read(&here.join("snapshot.json"));
    let mut files = Vec::new();
    for entity in manifest["entities"].as_array_mut().expect("entities") {
        let named = entity.as_object_mut().expect("an entity").remove("files");
        for (number, file) in (1..).zip(named.iter().filter_map(Value::as_array).flatten()) {
            let file = folder.join(file.as_str().expect("a file's name"));
            files.push((
                entity["name"].as_str().expect("a name").to_owned(),
                number,
                file,
            ));
        }
    }
    let opened = http
        .json("POST", &path("/snapshots"), &manifest)
        .expect(201)
        .json();
    let upload = opened["snapshotId"].as_str().expect("an id").to_owned();
    for (entity, number, file) in files {
        let rows = fs::read(&file).expect("the sample's file");
        println!("{entity}: {} bytes", rows.len());
        let part = path(&format!(
            "/snapshots/{upload}/entities/{entity}/parts/{number}"
        ));
        http.send("PUT", &part, &[("Content-Type", "text/csv")], &rows)
            .expect(204);
    }
    let commit = path(&format!("/snapshots/{upload}/commit"));
    let job = http.send("POST", &commit, &[], b"").expect(202).json();
    let job = wait_for_job(http, &instance, &job);
    println!("{}", pretty(&job["report"]));

    let query = "/data/Customer?$filter=Ecommerce_Contacts_ContactId%20eq%20'CNTID_1002'";
    let found = http.get(&path(query)).expect(200).json();
    let customer = found["value"][0]["CustomerId"]
        .as_str()
        .expect("a customer")
        .to_owned();
    let profile = path(&format!("/data/Customer/{customer}?caller=example"));
    http.json("PATCH", &profile, &json!({"City": "Bergen"}))
        .expect(204);
    let card = http
        .get(&path(&format!("/customers/{customer}/card")))
        .expect(200)
        .json();
    println!("{}", pretty(&card));
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("a file of this example");
    serde_json::from_str(&text).expect("JSON")
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON prints")
}
