//! Owns what the tests send and how they look at refusals: customers, orders, calls, times.
//!
//! Must not call a node.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use sanntid_engine::{
    AppendCall, CallError, OnUnknownCustomer, PartFormat, PartPacking, PatchCall,
};
use sanntid_types::{
    ActivityConfig, AlternateKey, EdmType, EntityName, EntityType, Error, ErrorCode, InstanceId,
    Instant, Manifest, ManifestAttribute, ManifestEntity, ProfileId, Relationship,
};

/// When every world begins.
pub(super) const NOON: &str = "2026-11-23T12:00:00Z";
pub(super) const CSV: PartFormat = PartFormat::Csv(PartPacking::None);
pub(super) const ORDERS: &str = "Shop_Orders";
pub(super) const HEADER: &str = "CustomerId,City,Score,ContactId,PreviousCustomerId\n";
pub(super) const ORDERS_HEADER: &str = "OrderId,OrderedOn,ContactId\n";

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(super) fn at(text: &str) -> Instant {
    Instant::parse(text).expect("time")
}

pub(super) fn noon() -> Instant {
    at(NOON)
}

pub(super) fn id(number: u128) -> InstanceId {
    InstanceId(uuid::Uuid::from_u128(number))
}

pub(super) fn profile_id(text: &str) -> ProfileId {
    ProfileId::parse(text).expect("id")
}

/// A refusal's code, or that the outcome is not known.
pub(super) fn code<T>(answer: Result<T, CallError>) -> Option<ErrorCode> {
    match answer {
        Ok(_) => panic!("it was accepted"),
        Err(CallError::Refused(error)) => Some(error.code),
        Err(CallError::Unknown) => None,
    }
}

pub(super) fn refused<T>(answer: Result<T, CallError>) -> Error {
    match answer {
        Ok(_) => panic!("it was accepted"),
        Err(CallError::Refused(error)) => error,
        Err(CallError::Unknown) => panic!("the outcome is not known"),
    }
}

fn attribute(name: &str, data_type: EdmType) -> ManifestAttribute {
    ManifestAttribute {
        name: name.to_owned(),
        data_type,
        format: None,
        computed: false,
        empty_is_value: false,
        alternate_key: None,
    }
}

fn entity(
    name: &str,
    entity_type: EntityType,
    key: &str,
    attributes: Vec<ManifestAttribute>,
) -> ManifestEntity {
    ManifestEntity {
        name: name.to_owned(),
        entity_type,
        key: Some(key.to_owned()),
        files: Vec::new(),
        attributes,
    }
}

pub(super) fn customers() -> ManifestEntity {
    let mut contact = attribute("ContactId", EdmType::String);
    contact.alternate_key = Some(AlternateKey {
        data_source_name: "Shop".to_owned(),
        entity_name: "Contacts".to_owned(),
    });
    let attributes = vec![
        attribute("CustomerId", EdmType::String),
        attribute("City", EdmType::String),
        attribute("Score", EdmType::Int64),
        contact,
        attribute("PreviousCustomerId", EdmType::String),
    ];
    entity("Customer", EntityType::Profile, "CustomerId", attributes)
}

pub(super) fn orders() -> ManifestEntity {
    let attributes = vec![
        attribute("OrderId", EdmType::Int64),
        attribute("OrderedOn", EdmType::DateTimeOffset),
        attribute("ContactId", EdmType::String),
    ];
    entity(ORDERS, EntityType::Activity, "OrderId", attributes)
}

pub(super) fn manifest(as_of: Instant, entities: Vec<ManifestEntity>) -> Manifest {
    Manifest { as_of, entities }
}

pub(super) fn orders_shown() -> Vec<ActivityConfig> {
    let text = str::to_owned;
    vec![ActivityConfig {
        entity_name: EntityName::parse(ORDERS).expect("name"),
        primary_key: text("OrderId"),
        timestamp: text("OrderedOn"),
        title: text("OrderId"),
        description: None,
        url: None,
        activity_type: text("SalesOrder"),
        activity_name: None,
        show_in_timeline: true,
        icon: None,
        relationship: Relationship {
            foreign_key: text("ContactId"),
            to_entity: text("Shop_Contacts"),
        },
        semantic_fields: BTreeMap::new(),
    }]
}

pub(super) fn city(profile: &str, city: &str) -> PatchCall {
    PatchCall {
        profile: profile_id(profile),
        body: Bytes::from(format!("{{\"City\": \"{city}\"}}")),
        valid_until: None,
        caller: None,
        if_match: None,
    }
}

pub(super) fn visit(activity: &str, customer: &str, title: &str) -> AppendCall {
    let body = format!(
        "{{\"ActivityId\": \"{activity}\", \"CustomerId\": \"{customer}\", \"Title\": \"{title}\", \
         \"ActivityTime\": \"2026-11-23T10:00:00Z\", \"ActivityType\": \"Visit\"}}"
    );
    AppendCall {
        entity: "UnifiedActivity".to_owned(),
        body: Bytes::from(body),
        valid_until: None,
        caller: None,
        on_unknown: OnUnknownCustomer::Reject,
    }
}
