//! `$metadata`: both forms say the same, and what they say can be read.

use sanntid_query::{csdl_json, csdl_xml};
use serde_json::{Value, json};

use crate::instance::{Instance, OPTIONS};
use crate::tables::instance;

fn model(instance: &Instance) -> Value {
    serde_json::from_str(&csdl_json(&instance.tenant)).expect("JSON")
}

#[test]
fn entities_have_their_keys_types_and_what_can_be_expanded() {
    let model = model(&instance());
    assert_eq!(model["$Version"], "4.01");
    assert_eq!(model["$EntityContainer"], "Sanntid.Container");
    let own = &model["Sanntid"];
    let customer = &own["Customer"];
    assert_eq!(customer["$Key"], json!(["CustomerId"]));
    assert_eq!(customer["CustomerId"], json!({}));
    assert_eq!(customer["City"], json!({"$Nullable": true}));
    let age = json!({"$Type": "Edm.Int32", "$Nullable": true});
    assert_eq!(customer["Age"], age);
    let income = json!({"$Type": "Edm.Decimal", "$Nullable": true, "$Scale": "variable"});
    assert_eq!(customer["Income"], income);
    let expand = |name: &str| json!({"$Kind": "NavigationProperty", "$Collection": true, "$Type": format!("Sanntid.{name}")});
    for name in ["UnifiedActivity", "Customer_Measure", "SegmentMembership"] {
        assert_eq!(customer[name], expand(name), "{name}");
    }
    let time = json!({"$Type": "Edm.DateTimeOffset", "$Nullable": true, "$Precision": 9});
    assert_eq!(own["UnifiedActivity"]["ActivityTime"], time);
    assert_eq!(own["SegmentMembership"].get("$Key"), None);
    assert_eq!(own.get("Shop_Orders"), None, "read as activities");
    let set = json!({"$Collection": true, "$Type": "Sanntid.Customer_Measure"});
    assert_eq!(own["Container"]["Customer_Measure"], set);
}

#[test]
fn every_set_of_the_model_can_be_read_and_every_expansion_done() {
    for instance in [instance(), Instance::empty()] {
        let model = model(&instance);
        let sets = model["Sanntid"]["Container"].as_object().expect("sets");
        let mut count = 0;
        for (name, set) in sets.iter().filter(|(name, _)| *name != "$Kind") {
            count += 1;
            let bound = set["$NavigationPropertyBinding"].as_object();
            let expand: Vec<&str> = bound
                .into_iter()
                .flatten()
                .map(|(name, _)| &**name)
                .collect();
            let expand = expand.join(",");
            let options = [("$expand", expand.as_str())];
            let options = if expand.is_empty() { &[][..] } else { &options };
            let read = instance.ask(name, options, OPTIONS);
            assert!(read.is_ok(), "{name}: {read:?}");
        }
        assert!(count >= 2, "{count}");
    }
}

#[test]
fn the_xml_says_the_same() {
    let instance = instance();
    let xml = csdl_xml(&instance.tenant);
    for text in [
        "<edmx:Edmx xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\" Version=\"4.01\">",
        "<EntityType Name=\"Customer\"><Key><PropertyRef Name=\"CustomerId\"/></Key>",
        "<Property Name=\"CustomerId\" Type=\"Edm.String\" Nullable=\"false\"/>",
        "<Property Name=\"Income\" Type=\"Edm.Decimal\" Scale=\"variable\"/>",
        "<Annotation Term=\"Org.OData.Core.V1.Computed\" Bool=\"true\"/></Property>",
        "<NavigationProperty Name=\"UnifiedActivity\" Type=\"Collection(Sanntid.UnifiedActivity)\"/>",
        "<EntitySet Name=\"Customer_Measure\" EntityType=\"Sanntid.Customer_Measure\"></EntitySet>",
        "<NavigationPropertyBinding Path=\"SegmentMembership\" Target=\"SegmentMembership\"/>",
    ] {
        assert!(xml.contains(text), "{text} is not in\n{xml}");
    }
    let opened = xml.matches("<EntityType ").count();
    assert_eq!(opened, xml.matches("</EntityType>").count());
    let model = model(&instance);
    let names = model["Sanntid"].as_object().expect("a schema").keys();
    let entities = names.filter(|name| *name != "Container");
    assert_eq!(entities.count(), opened);
}
