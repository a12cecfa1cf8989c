//! Owns `sanntid key …` and `sanntid role …`.

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::Context;
use crate::api::rows_of;
use crate::cli::{KeyCommand, KeySetArgs, RoleCommand};
use crate::client::segment;
use crate::output::{self, note};

const KEYS: &str = "/manage/keys";
const KEY_COLUMNS: [&str; 4] = ["name", "hint", "createdAt", "createdBy"];
const ROLE_COLUMNS: [&str; 3] = ["principalId", "principalType", "roles"];

pub(super) fn keys(context: &Context, command: &KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::List { instance } => show_keys(context, &context.instance(instance).get(KEYS)?),
        KeyCommand::Renew { instance, name } => {
            let route = format!("{KEYS}/{}/regenerate", name_of(name));
            let made = context.instance(instance).call("POST", &route)?.body;
            if context.output.json {
                return Ok(output::document(&made)?);
            }
            note(&format!("the new {} key, shown this once:", name_of(name)));
            // By itself and whole, so that it can be piped.
            let key = made.get("key").and_then(Value::as_str);
            Ok(output::line(key.unwrap_or_default())?)
        }
        KeyCommand::Set(arguments) => set(context, arguments),
    }
}

fn set(context: &Context, arguments: &KeySetArgs) -> anyhow::Result<()> {
    let mut change = Map::new();
    if let Some(role) = &arguments.role {
        change.insert("role".to_owned(), json!(name_of(role)));
    }
    if arguments.enable || arguments.disable {
        change.insert("enabled".to_owned(), json!(arguments.enable));
    }
    let instance = context.instance(&arguments.instance);
    let changed = instance.send("PUT", KEYS, &Value::Object(change))?.body;
    show_keys(context, &changed)
}

fn show_keys(context: &Context, keys: &Value) -> anyhow::Result<()> {
    if context.output.json {
        return Ok(output::document(keys)?);
    }
    let of = |name: &str| keys.get(name).cloned().unwrap_or_default();
    let settings = json!({"enabled": of("enabled"), "role": of("role")});
    context.output.object(&settings)?;
    Ok(context.output.rows(&rows_of(of("keys")), &KEY_COLUMNS)?)
}

pub(super) fn roles(context: &Context, command: &RoleCommand) -> anyhow::Result<()> {
    let rows = match command {
        RoleCommand::List { instance } => {
            rows_of(context.instance(instance).get("/rbac/assignments")?)
        }
        RoleCommand::Set {
            instance,
            principal,
            role,
            kind,
        } => {
            let assignment = json!({
                "principalId": principal,
                "principalType": name_of(kind),
                "roles": [name_of(role)],
            });
            let instance = context.instance(instance);
            rows_of(instance.send("PUT", &route(principal), &assignment)?.body)
        }
        RoleCommand::Remove {
            instance,
            principal,
        } => {
            let instance = context.instance(instance);
            instance.call("DELETE", &route(principal))?;
            if !context.output.json {
                output::line("done")?;
            }
            return Ok(());
        }
        RoleCommand::Mine { instance } => {
            let mine = context.instance(instance).get("/rbac/myrole")?;
            return Ok(context.output.object(&mine)?);
        }
    };
    Ok(context.output.rows(&rows, &ROLE_COLUMNS)?)
}

fn route(principal: &str) -> String {
    format!("/rbac/principals/{}/assignment", segment(principal))
}

/// The name of a choice, on the command line as on the wire.
fn name_of(choice: &impl ValueEnum) -> String {
    let value = choice.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}
