//! Owns `sanntid schedule …`.

use serde_json::json;

use super::Context;
use crate::api::rows_of;
use crate::cli::{ScheduleArgs, ScheduleCommand};
use crate::client::segment;
use crate::output;

const ROUTE: &str = "/workflows/main/schedules";
const COLUMNS: [&str; 4] = ["scheduleId", "isActive", "timezoneId", "cronSchedules"];

pub(super) fn run(context: &Context, command: &ScheduleCommand) -> anyhow::Result<()> {
    match command {
        ScheduleCommand::List { instance } => {
            let rows = rows_of(context.instance(instance).get(ROUTE)?);
            context.output.rows(&rows, &COLUMNS)?;
        }
        ScheduleCommand::Set(arguments) => set(context, arguments)?,
        ScheduleCommand::Delete { instance, id } => {
            let route = format!("{ROUTE}/{}", segment(id));
            context.instance(instance).call("DELETE", &route)?;
            if !context.output.json {
                output::line("done")?;
            }
        }
    }
    Ok(())
}

fn set(context: &Context, arguments: &ScheduleArgs) -> anyhow::Result<()> {
    let mut schedule = json!({
        "isActive": !arguments.inactive,
        "timezoneId": arguments.timezone,
        "cronSchedules": arguments.cron,
        "identifiers": arguments.source,
    });
    if let (Some(id), Some(fields)) = (&arguments.id, schedule.as_object_mut()) {
        fields.insert("scheduleId".to_owned(), json!(id));
    }
    let instance = context.instance(&arguments.instance);
    let stored = instance.send("POST", ROUTE, &schedule)?.body;
    Ok(context.output.object(&stored)?)
}
