//! The model of an instance's data as CSDL 4.01, in JSON and in XML.
//!
//! Owns what `$metadata` says: the entities that can be read, their keys and attributes, and what can
//! be expanded. Must not read rows.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sanntid_engine::TenantState;
use sanntid_types::{
    Attribute, AttributeRole, CUSTOMER, EdmType, EntityName, EntitySchema, EntityType, Literal,
    UNIFIED_ACTIVITY,
};

use crate::expand::expandable;
use crate::json::Object;
use crate::tables::is_readable;
use crate::unified::unified_activity_schema;

const NAMESPACE: &str = "Sanntid";
const CONTAINER: &str = "Container";

/// One entity with what can be expanded in it.
struct Entity<'a> {
    schema: &'a EntitySchema,
    expands: Vec<&'a str>,
}

/// What `Customer` is before any snapshot.
fn bare_customer() -> &'static EntitySchema {
    static SCHEMA: LazyLock<EntitySchema> = LazyLock::new(|| EntitySchema {
        name: EntityName::parse(CUSTOMER).expect("a name"),
        friendly_name: None,
        entity_type: EntityType::Profile,
        attributes: vec![Attribute {
            role: AttributeRole::Key,
            ..Attribute::plain("CustomerId", EdmType::String)
        }],
        key: Some(0),
    });
    &SCHEMA
}

/// The entities that can be read.
fn entities(tenant: &TenantState) -> Vec<Entity<'_>> {
    let customer = Entity {
        schema: match tenant.customer() {
            Some(customer) => &customer.schema,
            None => bare_customer(),
        },
        expands: [UNIFIED_ACTIVITY]
            .into_iter()
            .chain(expandable(tenant).map(|table| table.schema.name.as_str()))
            .collect(),
    };
    let alone = |schema| Entity {
        schema,
        expands: Vec::new(),
    };
    let tables = tenant.entities.iter();
    let tables = tables.filter(|table| is_readable(table));
    [customer, alone(unified_activity_schema())]
        .into_iter()
        .chain(tables.map(|table| alone(&*table.schema)))
        .collect()
}

fn key_of(schema: &EntitySchema) -> Option<&Attribute> {
    schema.attributes.get(schema.key?)
}

/// Only a key has a value always.
fn is_nullable(schema: &EntitySchema, attribute: &Attribute) -> bool {
    key_of(schema).is_none_or(|key| key.name != attribute.name)
}

fn is_computed(attribute: &Attribute) -> bool {
    attribute.role == AttributeRole::Computed
}

/// Decimals have any precision and scale, instants up to nanoseconds.
fn facets(edm: EdmType) -> &'static [(&'static str, &'static str)] {
    match edm {
        EdmType::Decimal => &[("Scale", "variable")],
        EdmType::DateTimeOffset | EdmType::TimeOfDay => &[("Precision", "9")],
        EdmType::String
        | EdmType::Boolean
        | EdmType::Int16
        | EdmType::Int32
        | EdmType::Int64
        | EdmType::Double
        | EdmType::Date
        | EdmType::Guid => &[],
    }
}

/// The model as CSDL JSON.
pub fn csdl_json(tenant: &TenantState) -> String {
    let entities = entities(tenant);
    let mut json = String::new();
    let mut document = Object::open(&mut json);
    document.text("$Version", "4.01");
    document.text("$EntityContainer", &format!("{NAMESPACE}.{CONTAINER}"));
    document.object(NAMESPACE, |schema| {
        for entity in &entities {
            schema.object(entity.schema.name.as_str(), |object| {
                push_entity(object, entity);
            });
        }
        schema.object(CONTAINER, |container| {
            container.text("$Kind", "EntityContainer");
            for entity in &entities {
                container.object(entity.schema.name.as_str(), |set| push_set(set, entity));
            }
        });
    });
    document.close();
    json
}

fn push_entity(object: &mut Object<'_>, entity: &Entity<'_>) {
    object.text("$Kind", "EntityType");
    if let Some(key) = key_of(entity.schema) {
        let name = Literal::text(&key.name);
        object.json("$Key", &format!("[{}]", name.as_json()));
    }
    for attribute in &entity.schema.attributes {
        object.object(&attribute.name, |property| {
            if attribute.data_type != EdmType::String {
                property.text("$Type", attribute.data_type.name());
            }
            if is_nullable(entity.schema, attribute) {
                property.json("$Nullable", "true");
            }
            for (facet, value) in facets(attribute.data_type) {
                match value.parse::<u8>() {
                    Ok(_) => property.json(&format!("${facet}"), value),
                    Err(_) => property.text(&format!("${facet}"), value),
                }
            }
            if is_computed(attribute) {
                property.json("@Org.OData.Core.V1.Computed", "true");
            }
        });
    }
    for name in &entity.expands {
        object.object(name, |property| {
            property.text("$Kind", "NavigationProperty");
            property.json("$Collection", "true");
            property.text("$Type", &format!("{NAMESPACE}.{name}"));
        });
    }
}

fn push_set(set: &mut Object<'_>, entity: &Entity<'_>) {
    set.json("$Collection", "true");
    let name = entity.schema.name.as_str();
    set.text("$Type", &format!("{NAMESPACE}.{name}"));
    if !entity.expands.is_empty() {
        set.object("$NavigationPropertyBinding", |binding| {
            for name in &entity.expands {
                binding.text(name, name);
            }
        });
    }
}

/// The model as CSDL XML.
///
/// Names have no character that XML escapes: they are letters, digits and `_`.
pub fn csdl_xml(tenant: &TenantState) -> String {
    let entities = entities(tenant);
    let mut xml = String::from(concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<edmx:Edmx xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\" Version=\"4.01\">\n",
        "<edmx:DataServices>\n"
    ));
    let mut line = |text: &str| {
        xml.push_str(text);
        xml.push('\n');
    };
    line(&format!(
        "<Schema xmlns=\"http://docs.oasis-open.org/odata/ns/edm\" Namespace=\"{NAMESPACE}\">"
    ));
    for entity in &entities {
        line(&entity_xml(entity));
    }
    line(&format!("<EntityContainer Name=\"{CONTAINER}\">"));
    for entity in &entities {
        let name = entity.schema.name.as_str();
        let mut set = format!("<EntitySet Name=\"{name}\" EntityType=\"{NAMESPACE}.{name}\">");
        for target in &entity.expands {
            push(
                &mut set,
                format_args!("<NavigationPropertyBinding Path=\"{target}\" Target=\"{target}\"/>"),
            );
        }
        line(&(set + "</EntitySet>"));
    }
    line("</EntityContainer>\n</Schema>\n</edmx:DataServices>\n</edmx:Edmx>");
    xml
}

fn entity_xml(entity: &Entity<'_>) -> String {
    let schema = entity.schema;
    let mut xml = format!("<EntityType Name=\"{}\">", schema.name);
    if let Some(key) = key_of(schema) {
        let name = &key.name;
        push(
            &mut xml,
            format_args!("<Key><PropertyRef Name=\"{name}\"/></Key>"),
        );
    }
    for attribute in &schema.attributes {
        let (name, edm) = (&attribute.name, attribute.data_type.name());
        push(
            &mut xml,
            format_args!("\n<Property Name=\"{name}\" Type=\"{edm}\""),
        );
        if !is_nullable(schema, attribute) {
            xml.push_str(" Nullable=\"false\"");
        }
        for (facet, value) in facets(attribute.data_type) {
            push(&mut xml, format_args!(" {facet}=\"{value}\""));
        }
        xml.push_str(match is_computed(attribute) {
            true => "><Annotation Term=\"Org.OData.Core.V1.Computed\" Bool=\"true\"/></Property>",
            false => "/>",
        });
    }
    for name in &entity.expands {
        push(
            &mut xml,
            format_args!(
                "\n<NavigationProperty Name=\"{name}\" Type=\"Collection({NAMESPACE}.{name})\"/>"
            ),
        );
    }
    xml + "\n</EntityType>"
}

fn push(xml: &mut String, text: std::fmt::Arguments<'_>) {
    xml.write_fmt(text).expect("writing to a String can't fail");
}
