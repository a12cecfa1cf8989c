//! Owns `sanntid instance …`.

use std::io::{self, BufRead, IsTerminal};

use anyhow::bail;
use clap::ValueEnum;
use serde_json::json;

use super::Context;
use crate::api::{Instance, rows_of};
use crate::cli::{EndArgs, InstanceCommand};
use crate::output::{self, note};

const COLUMNS: [&str; 3] = ["instanceId", "name", "instanceType"];

pub(super) fn run(context: &Context, command: InstanceCommand) -> anyhow::Result<()> {
    let output = context.output;
    match command {
        InstanceCommand::Create {
            name,
            instance_type,
            id,
        } => {
            let instance_type = instance_type.to_possible_value();
            let kind = instance_type.as_ref().map_or("sandbox", |v| v.get_name());
            let (instance, answer) = Instance::create(&context.client, &name, kind, id.as_deref())?;
            match output.json {
                true => output::document(&answer)?,
                false => output::line(instance.id())?,
            }
        }
        InstanceCommand::List => {
            let rows = rows_of(context.client.get("/instances")?);
            output.rows(&rows, &COLUMNS)?;
        }
        InstanceCommand::Get { id } => {
            output.object(&Instance::new(&context.client, &id).get("")?)?;
        }
        InstanceCommand::Rename { id, name } => {
            let body = json!({"instanceMetadata": {"name": name}});
            let instance = Instance::new(&context.client, &id);
            output.object(&instance.send("PATCH", "/V2", &body)?.body)?;
        }
        InstanceCommand::Delete(arguments) => {
            end(context, &arguments, "deletes", "")?;
        }
        InstanceCommand::Reset(arguments) => {
            end(context, &arguments, "empties", "/manage/reset")?;
        }
    }
    Ok(())
}

fn end(context: &Context, arguments: &EndArgs, what: &str, route: &str) -> anyhow::Result<()> {
    let instance = Instance::new(&context.client, &arguments.id);
    if !arguments.yes {
        if !io::stdin().is_terminal() {
            bail!("this {what} the instance for good; say --yes");
        }
        let described = instance.get("")?;
        let name = described.get("name").and_then(|name| name.as_str());
        note(&format!(
            "this {what} {} for good; type its name to go on:",
            name.unwrap_or(&arguments.id)
        ));
        let mut typed = String::new();
        io::stdin().lock().read_line(&mut typed)?;
        if typed.trim() != name.unwrap_or(&arguments.id) {
            bail!("nothing was done");
        }
    }
    let answer = instance.call("DELETE", route)?;
    match context.output.json {
        true => output::document(&answer.body)?,
        false => output::line("done")?,
    }
    Ok(())
}
