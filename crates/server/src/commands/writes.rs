//! Owns `sanntid patch` and `sanntid activity`.

use sanntid_types::Clock;
use serde_json::{Value, json};

use super::Context;
use crate::cli::{ActivityArgs, DocumentArgs, PatchArgs};
use crate::clock::SystemClock;
use crate::key_values::document_of;
use crate::output::{self, cell};

pub(super) fn patch(context: &Context, arguments: &PatchArgs) -> anyhow::Result<()> {
    let document = &arguments.document;
    let body = document_of(document.body.as_deref(), &document.pairs)?;
    let until = valid_until(document);
    let options = options(document, until.as_deref());
    let instance = context.instance(&arguments.instance);
    instance.patch(&arguments.profile, &body, &options)?;
    if context.output.json {
        return Ok(output::document(&json!({"status": "stored"}))?);
    }
    Ok(output::line("stored")?)
}

pub(super) fn activity(context: &Context, arguments: &ActivityArgs) -> anyhow::Result<()> {
    let document = &arguments.document;
    let body = document_of(document.body.as_deref(), &document.pairs)?;
    let until = valid_until(document);
    let mut options = options(document, until.as_deref());
    if arguments.hold {
        options.push(("onUnknownCustomer", "hold"));
    }
    let instance = context.instance(&arguments.instance);
    let answer = instance.append(&arguments.entity, &body, &options)?;
    if context.output.json {
        return Ok(output::document(&answer.body)?);
    }
    let value = answer.body.get("value").unwrap_or(&Value::Null);
    let id = value.get("ActivityId").map_or_else(String::new, cell);
    let state = match (answer.status, answer.replayed) {
        (_, true) => "was stored before",
        (202, false) => "held until its customer is known",
        _ => "stored",
    };
    Ok(output::line(&format!("{state}  {id}"))?)
}

fn valid_until(document: &DocumentArgs) -> Option<String> {
    let lasting = || {
        let span = document.lasting?;
        Some(SystemClock::new().now().plus(span).to_string())
    };
    document.valid_until.clone().or_else(lasting)
}

fn options<'a>(document: &'a DocumentArgs, until: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
    let mut options = Vec::new();
    if let Some(until) = until {
        options.push(("validUntil", until));
    }
    if let Some(caller) = &document.caller {
        options.push(("caller", caller.as_str()));
    }
    options
}
