//! Owns `sanntid audit`.

use serde_json::Value;

use super::Context;
use crate::api::rows_of;
use crate::cli::{AuditArgs, AuditOutcome};
use crate::client::{Body, query, segment};

/// Records that are asked for at a time.
const PAGE_RECORDS: usize = 1000;
const COLUMNS: [&str; 7] = [
    "at",
    "actor",
    "address",
    "action",
    "target",
    "outcome",
    "errorCode",
];

pub(super) fn run(context: &Context, arguments: &AuditArgs) -> anyhow::Result<()> {
    let route = match &arguments.instance {
        Some(instance) => format!("/instances/{}/manage/audit", segment(instance)),
        None => "/manage/audit".to_owned(),
    };
    let outcome = arguments.outcome.map(|outcome| match outcome {
        AuditOutcome::Done => "done".to_owned(),
        AuditOutcome::Refused => "refused".to_owned(),
    });
    let filter = [
        ("from", arguments.from.clone()),
        ("to", arguments.to.clone()),
        ("actor", arguments.actor.clone()),
        ("action", arguments.action.clone()),
        ("outcome", outcome),
    ];
    let wanted = usize::try_from(arguments.top)?;
    let mut rows: Vec<Value> = Vec::new();
    let mut token: Option<String> = None;
    while rows.len() < wanted {
        let top = PAGE_RECORDS.min(wanted - rows.len()).to_string();
        let mut options: Vec<(&str, &str)> = filter
            .iter()
            .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
            .collect();
        options.push(("top", &top));
        options.extend(token.as_deref().map(|token| ("skipToken", token)));
        let route = format!("{route}{}", query(&options));
        let page = context.client.call("GET", &route, &Body::None)?.body;
        token = next(&page);
        rows.extend(rows_of(page.get("value").cloned().unwrap_or_default()));
        if token.is_none() {
            break;
        }
    }
    Ok(context.output.rows(&rows, &COLUMNS)?)
}

/// Where the next page begins.
fn next(page: &Value) -> Option<String> {
    let link = page.get("nextLink")?.as_str()?;
    let (_, token) = link.split_once("skipToken=")?;
    Some(token.to_owned())
}
