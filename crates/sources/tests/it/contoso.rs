//! The Contoso sample, read with the manifest and the activity configuration in `examples/contoso`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sanntid_sources::{Folder, Item};
use sanntid_types::{ActivityConfig, EdmType, EntitySchema, Row};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The manifest with the sample's files; `None`, with a word about it, where there is no sample.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn sample() -> Option<Folder> {
    let files = workspace().join("../shared/data/contoso");
    if !files.is_dir() {
        println!("skipped: the Contoso sample is not here");
        return None;
    }
    let manifest = workspace().join("examples/contoso/snapshot.json");
    Some(Folder::open_with_files(&manifest, &files).expect("the example's manifest"))
}

fn read_all(folder: &Folder, entity: &str) -> (EntitySchema, Vec<Row>) {
    let schemas = folder.schemas().iter();
    let schema = schemas
        .clone()
        .find(|schema| schema.name.as_str() == entity);
    let schema = schema.expect(entity).clone();
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    for file in folder.files().iter().filter(|file| file.entity == entity) {
        for item in file.rows(&schema).expect(entity) {
            match item.expect(entity) {
                Item::Row { row, .. } => rows.push(row),
                Item::Rejected(rejection) => rejected.push(rejection),
            }
        }
    }
    assert_eq!(rejected, [], "{entity}");
    (schema, rows)
}

#[test]
fn every_row_of_the_sample_is_read() {
    let Some(folder) = sample() else { return };
    assert_eq!(
        folder.manifest.as_of.to_string(),
        "2026-11-01T00:00:00.000Z"
    );
    for (entity, count, attributes) in [
        ("Customer", 5_003, 21),
        ("Ecommerce_OnlinePurchases", 12_369, 7),
        ("PoS_PosPurchases", 20_024, 8),
        ("Website_Reviews", 20_020, 6),
    ] {
        let (schema, rows) = read_all(&folder, entity);
        assert_eq!(
            (rows.len(), schema.attributes.len()),
            (count, attributes),
            "{entity}"
        );
    }
}

#[test]
fn the_samples_values_are_what_they_say() {
    let Some(folder) = sample() else { return };
    let (schema, rows) = read_all(&folder, "Customer");
    let place = |name: &str| schema.find(name).expect(name).0;
    let first = rows.first().expect("a row");
    for (name, json) in [
        ("CustomerId", "\"000441f8d920953a35df220da3bf55d3\""),
        ("DateOfBirth", "\"1988-10-02\""),
        ("PostCode", "\"13851\""),
        ("Income", "150934.87229372188"),
        ("RewardPoints", "31"),
        ("Loyalty_Customers_LoyaltyId", "\"LOYID_2156\""),
    ] {
        assert_eq!(first.get(place(name)), json, "{name}");
    }
    let nulls = |name: &str| {
        rows.iter()
            .filter(|row| row.get(place(name)) == "null")
            .count()
    };
    assert_eq!(nulls("DateOfBirth"), 1);
    assert_eq!(nulls("Ecommerce_Contacts_ContactId"), 3);
    assert_eq!(nulls("Loyalty_Customers_LoyaltyId"), 1);
    assert!(
        rows.iter()
            .any(|row| row.get(place("PostCode")) == "\"M4B1B3\"")
    );

    let (schema, rows) = read_all(&folder, "Ecommerce_OnlinePurchases");
    let day = schema.find("PurchasedOn").expect("column").0;
    assert_eq!(rows[0].get(day), "\"2019-01-20\"");
    assert!(rows.iter().all(|row| {
        row.scalar(day, EdmType::Date)
            .is_some_and(|day| !day.is_null())
    }));
}

#[test]
fn the_activity_configuration_fits_the_manifest_and_the_sample() {
    let text = fs::read_to_string(workspace().join("examples/contoso/activities.json"));
    let configs: Vec<ActivityConfig> =
        serde_json::from_str(&text.expect("example")).expect("the configuration's shape");
    assert_eq!(configs.len(), 3);
    let Some(folder) = sample() else { return };
    let (customer, customers) = read_all(&folder, "Customer");
    let mut keys: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (ordinal, key) in customer.alternate_keys() {
        let column = customers.iter().map(|row| row.get(ordinal)).collect();
        keys.insert(key.qualified_name(), column);
    }
    for column in keys.values_mut() {
        column.sort_unstable();
    }
    let mut unmatched = BTreeMap::new();
    for config in &configs {
        let (schema, rows) = read_all(&folder, config.entity_name.as_str());
        let named = [&config.primary_key, &config.timestamp, &config.title]
            .into_iter()
            .chain(&config.description)
            .chain(config.semantic_fields.values());
        for name in named {
            assert!(
                schema.find(name).is_some(),
                "{}: {name}",
                config.entity_name
            );
        }
        let foreign = schema
            .find(&config.relationship.foreign_key)
            .expect("foreign key")
            .0;
        let known = keys
            .get(&config.relationship.to_entity)
            .expect("an alternate key");
        let unknown = |row: &&Row| known.binary_search(&row.get(foreign)).is_err();
        unmatched.insert(
            config.entity_name.as_str(),
            rows.iter().filter(unknown).count(),
        );
    }
    let expected = [
        ("Ecommerce_OnlinePurchases", 9),
        ("PoS_PosPurchases", 0),
        ("Website_Reviews", 17),
    ];
    assert_eq!(unmatched, BTreeMap::from(expected));
}
