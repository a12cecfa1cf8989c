//! Instances, their settings and entities, in the published shapes.

use serde_json::{Value, json};

use crate::client::{Call, INSTANCE};
use crate::server::{Running, at};
use crate::stored::unloaded;

fn metadata() -> Value {
    json!({
        "instanceId": INSTANCE, "name": "Contoso", "provisioningState": "active",
        "instanceType": "sandbox", "version": 3,
        "createdUtc": "2026-11-01T00:00:00.000Z", "createdBy": "administrator",
        "updatedUtc": "2026-11-02T00:00:00.000Z", "updatedBy": "administrator"
    })
}

#[test]
fn instances_are_listed_and_described() {
    let server = Running::start();
    let list = server.send(&Call::get("/api/instances"));
    let info = json!({"instanceId": INSTANCE, "name": "Contoso", "instanceType": "sandbox"});
    assert_eq!(list.json(), json!([info]));
    assert_eq!(server.get("").json(), metadata());
    let upper = format!("/api/instances/{}", INSTANCE.to_uppercase());
    assert_eq!(server.send(&Call::get(&upper)).json(), metadata());
}

#[test]
fn an_instance_is_created_with_what_the_published_client_sends() {
    let server = Running::start();
    let create = |body: Value| server.send(&Call::new("POST", "/api/instances/V2").json(&body));
    let published = json!({
        "instanceMetadata": {"name": " Contoso ", "isB2C": true, "azureRegion": null},
        "byosaResourceMetadata": {"kind": "adlsGen2"}, "bapProvisioningType": "skip",
        "isPbiProvisioningRequired": false
    });
    let answer = create(published);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), metadata());
    let new = server
        .mock
        .created
        .lock()
        .unwrap()
        .pop()
        .expect("an instance");
    assert_eq!((new.id, new.by.name.as_str()), (None, "administrator"));

    let id = "0d9f7a3c-5f1e-4f57-8a39-6a4a1c3e5b02";
    let with_id = json!({"instanceMetadata": {
        "name": "B", "instanceId": id, "instanceType": "production"
    }});
    let answer = create(with_id).json();
    assert_eq!(
        (&answer["instanceId"], &answer["instanceType"]),
        (&json!(id), &json!("production"))
    );
    for bad in [
        json!({}),
        json!({"instanceMetadata": {"name": "B", "instanceType": "huge"}}),
        json!({"instanceMetadata": {"name": "B", "instanceId": "7"}}),
        json!({"instanceMetadata": {"name": "a\nb"}}),
    ] {
        assert_eq!(create(bad.clone()).status, 400, "{bad}");
    }
}

#[test]
fn an_instance_is_renamed_and_nothing_else() {
    let server = Running::start();
    let rename = |metadata: Value| {
        let body = json!({"instanceMetadata": metadata});
        server.send(&Call::new("PATCH", &at("/V2")).json(&body))
    };
    assert_eq!(rename(json!({"name": "New"})).json()["name"], "New");
    let same = json!({"name": "New", "instanceId": INSTANCE, "instanceType": "sandbox"});
    assert_eq!(rename(same).status, 200);
    for other in [
        json!({"name": "New", "instanceType": "production"}),
        json!({"name": "New", "instanceId": "0d9f7a3c-5f1e-4f57-8a39-6a4a1c3e5b02"}),
    ] {
        assert_eq!(rename(other.clone()).status, 400, "{other}");
    }
}

#[test]
fn an_instance_is_emptied_and_deleted() {
    let server = Running::start();
    let path = at("/manage/reset?instanceManagementOperationScope=all");
    let reset = server.send(&Call::new("DELETE", &path));
    assert_eq!((reset.status, reset.json()), (200, json!(true)));
    let deleted = server.send(&Call::new("DELETE", &at("")));
    assert_eq!((deleted.status, deleted.json()), (200, json!(true)));
    assert_eq!(server.mock.calls(), ["reset_instance", "delete_instance"]);
    let unknown = server.send(&Call::new("DELETE", &at("?force=true")));
    assert_eq!(unknown.status, 400, "an unknown option deletes nothing");
}

#[test]
fn settings_are_replaced_as_a_whole() {
    let server = Running::start();
    let defaults = json!({
        "refreshClears": "always", "asOfMarginSecs": 0, "profileTtlDefault": "4h",
        "activityTtlDefault": "30d", "rowsRejectedMaxPercent": 1.0
    });
    assert_eq!(server.get("/manage/realtime").json(), defaults);
    let put = |body: &Value| server.send(&Call::new("PUT", &at("/manage/realtime")).json(body));
    let other = json!({
        "refreshClears": "never", "asOfMarginSecs": 60, "profileTtlDefault": "1h30m",
        "activityTtlDefault": "7d", "rowsRejectedMaxPercent": 0.5
    });
    assert_eq!(put(&other).json(), other);
    assert_eq!(server.get("/manage/realtime").json(), other);
    let bad = put(&json!({"asOfMarginSecs": 90_000, "profileTtlDefault": "31d"}));
    assert_eq!(bad.status, 400);
    let targets: Vec<Value> = bad.json()["details"]
        .as_array()
        .expect("details")
        .iter()
        .map(|detail| detail["target"].clone())
        .collect();
    assert_eq!(targets, ["profileTtlDefault", "asOfMarginSecs"]);
    assert_eq!(put(&json!({})).json(), defaults);
}

fn purchases() -> Value {
    json!({
        "entityName": "Ecommerce_OnlinePurchases", "primaryKey": "PurchaseId",
        "timestamp": "PurchasedOn", "title": "Subject", "description": null, "url": null,
        "activityType": "SalesOrder", "activityName": "Online purchase",
        "showInTimeline": true, "icon": "cart",
        "relationship": {"foreignKey": "ContactId", "toEntity": "Ecommerce_Contacts"},
        "semanticFields": {"SalesOrderId": "PurchaseId"}
    })
}

#[test]
fn the_activity_configuration_says_what_is_pending() {
    let server = Running::start();
    let put = |body: &Value| server.send(&Call::new("PUT", &at("/manage/activities")).json(body));
    let mut ahead = purchases();
    ahead["entityName"] = json!("Web_Visits");
    let answer = put(&json!([purchases(), ahead]));
    assert_eq!(answer.status, 200);
    let stored = answer.json();
    assert_eq!(stored[0]["state"], "active");
    assert_eq!(stored[1]["state"], "pending");
    let mut first = stored[0].clone();
    first.as_object_mut().expect("an object").remove("state");
    assert_eq!(first, purchases());
    assert_eq!(server.get("/manage/activities").json(), stored);

    *server.mock.reproject.lock().unwrap() = true;
    let answer = put(&json!([purchases()]));
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["operationType"], "activity");
}

#[test]
fn entities_are_described_with_what_a_writer_must_know() {
    let server = Running::start();
    let config = Call::new("PUT", &at("/manage/activities")).json(&json!([purchases()]));
    assert_eq!(server.send(&config).status, 200);
    let model = server.get("/manage/entities").json();
    assert_eq!(model["instanceId"], INSTANCE);
    let names: Vec<&Value> = model["entities"]
        .as_array()
        .expect("entities")
        .iter()
        .map(|entity| &entity["name"])
        .collect();
    assert_eq!(
        names,
        [
            "Customer",
            "Ecommerce_OnlinePurchases",
            "Customer_Measure",
            "UnifiedActivity"
        ]
    );

    let customer = server
        .get("/manage/entities/customer?attributesAnnotations=true")
        .json();
    let read_only = json!([{"name": "ReadOnly", "value": "true"}]);
    assert_eq!(
        customer,
        json!({
            "name": "Customer", "qualifiedEntityName": "Customer", "entityType": "profile",
            "refreshTime": "2026-11-23T02:00:00.000Z",
            "attributes": [
                {"name": "CustomerId", "dataType": "Edm.String", "annotations": read_only},
                {"name": "City", "dataType": "Edm.String", "annotations": []},
                {"name": "ContactId", "dataType": "Edm.String", "annotations": read_only}
            ],
            "keys": [[{"name": "CustomerId", "dataType": "Edm.String", "annotations": read_only}]]
        })
    );
    let mandatory = |path: &str| {
        let entity = server.get(path).json();
        let attributes = entity["attributes"].as_array().expect("attributes").clone();
        let named = attributes
            .iter()
            .filter(|attribute| attribute["annotations"][0]["name"] == "Mandatory");
        named
            .map(|attribute| attribute["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        mandatory("/manage/tables/UnifiedActivity?attributesAnnotations=true"),
        ["CustomerId", "ActivityTime", "ActivityType"]
    );
    assert_eq!(
        mandatory("/manage/entities/Ecommerce_OnlinePurchases?attributesAnnotations=true"),
        ["PurchaseId", "PurchasedOn", "ContactId"]
    );
    let source = server
        .get("/manage/entities/Ecommerce_OnlinePurchases")
        .json();
    assert_eq!(source["dataSourceName"], "Ecommerce");
    assert_eq!(
        source["attributes"][0],
        json!({"name": "PurchaseId", "dataType": "Edm.String"})
    );
    assert_eq!(
        server
            .get("/manage/entities?attributesAnnotations=1")
            .status,
        400
    );
}

#[test]
fn sizes_are_those_of_what_is_loaded() {
    let server = Running::start();
    for (entity, rows) in [
        ("Customer", 2),
        ("Ecommerce_OnlinePurchases", 5),
        ("UnifiedActivity", 5),
    ] {
        let size = server
            .get(&format!("/manage/entities/{entity}/entitysize"))
            .json();
        let expected = json!({"qualifiedEntityName": entity, "rowCount": rows, "size": 40 * rows});
        assert_eq!(size, expected);
    }
}

#[test]
fn before_the_first_snapshot_everything_is_there_and_empty() {
    let server = Running::start();
    *server.mock.tenant.lock().unwrap() = unloaded();
    let model = server.get("/manage/entities").json();
    assert_eq!(model["entities"][0]["name"], "Customer");
    assert_eq!(model["entities"][0]["keys"][0][0]["name"], "CustomerId");
    assert_eq!(model["entities"][1]["name"], "UnifiedActivity");
    assert_eq!(
        server.get("/manage/entities/Customer/entitysize").json()["rowCount"],
        0
    );
    assert_eq!(server.get("/data/Customer").json()["value"], json!([]));
    assert_eq!(
        server.get("/data/UnifiedActivity").json()["value"],
        json!([])
    );
    let state = server.get("/profilestore/stateinfo").json();
    assert_eq!(state["primaryInfo"]["currentState"], "empty");
    assert_eq!(state["ingestionTime"], Value::Null);
}
