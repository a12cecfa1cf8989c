//! Owns `sanntid source`: makes, lists and deletes data sources.

use serde_json::{Value, json};

use super::Context;
use crate::api::rows_of;
use crate::cli::SourceCommand;
use crate::client::segment;
use crate::output::note;

const ROUTE: &str = "/manage/datasources";
const METADATA: &str = "dataSourceMetadata";
const COLUMNS: [&str; 5] = [
    "dataSourceId",
    "friendlyName",
    "location",
    "refreshState",
    "lastRefresh",
];

pub(super) fn run(context: &Context, command: &SourceCommand) -> anyhow::Result<()> {
    match command {
        SourceCommand::Put {
            instance,
            location,
            credentials,
            name,
            id,
        } => {
            let id = id.clone();
            let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
            let mut body = json!({"friendlyName": name, "kind": "folder", "location": location});
            if let (Some(credentials), Some(body)) = (credentials, body.as_object_mut()) {
                body.insert("credentials".to_owned(), json!({"name": credentials}));
            }
            let path = format!("{ROUTE}/{}", segment(&id));
            let put = context.instance(instance).send("PUT", &path, &body)?.body;
            Ok(context.output.object(&metadata(put))?)
        }
        SourceCommand::List { instance } => {
            let rows = rows_of(context.instance(instance).get(ROUTE)?);
            let rows: Vec<Value> = rows.into_iter().map(metadata).collect();
            Ok(context.output.rows(&rows, &COLUMNS)?)
        }
        SourceCommand::Delete { instance, id } => {
            let path = format!("{ROUTE}/{}", segment(id));
            context.instance(instance).call("DELETE", &path)?;
            note(&format!("deleted {id}; what it brought stays"));
            Ok(())
        }
    }
}

/// What a data source is, out of the published envelope.
fn metadata(mut info: Value) -> Value {
    info.get_mut(METADATA).map(Value::take).unwrap_or(info)
}
