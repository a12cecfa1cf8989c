//! Owns `sanntid get` and `sanntid jobs`.

use serde_json::{Map, Value};

use super::{Context, snapshot};
use crate::api::{job_path, rows_of};
use crate::cli::{GetArgs, JobsArgs, ViewArg};
use crate::client::{query, segment};
use crate::output::{self, note};

const CARD_COLUMNS: [&str; 6] = [
    "name",
    "value",
    "origin",
    "sourceValue",
    "validUntil",
    "caller",
];
const TIMELINE_COLUMNS: [&str; 4] = ["ActivityTime", "ActivityType", "Title", "ActivityId"];
const JOB_COLUMNS: [&str; 5] = [
    "jobId",
    "jobStatus",
    "operationType",
    "submittedTimestamp",
    "endTimestamp",
];
const NEXT_LINKS: [&str; 2] = ["@odata.nextLink", "nextLink"];

pub(super) fn get(context: &Context, arguments: &GetArgs) -> anyhow::Result<()> {
    let instance = context.instance(&arguments.instance);
    if arguments.card {
        return card(context, &instance.card(&arguments.path)?);
    }
    let path = route(arguments);
    let mut answer = instance.get(&path)?;
    follow(context, &mut answer, arguments.top)?;
    let output = context.output;
    if output.json {
        return Ok(output::document(&answer)?);
    }
    if answer.get("value").is_none_or(|value| !value.is_array()) {
        return Ok(output.object(&answer)?);
    }
    let count = answer.get("@odata.count").cloned();
    let more = next_link(&answer).is_some();
    let rows = rows_of(answer);
    let selected = arguments.select.as_deref().unwrap_or_default();
    let columns: Vec<&str> = match arguments.timeline {
        true => TIMELINE_COLUMNS.to_vec(),
        false => selected.split_terminator(',').map(str::trim).collect(),
    };
    output.rows(&rows, &columns)?;
    if let Some(count) = count {
        output::line(&format!("{count} in all"))?;
    }
    if more {
        note("there are more rows; ask for them with --top");
    }
    Ok(())
}

pub(super) fn jobs(context: &Context, arguments: &JobsArgs) -> anyhow::Result<()> {
    let instance = context.instance(&arguments.instance);
    let Some(job) = &arguments.job else {
        let rows = rows_of(instance.get(&format!("/workflows/main/jobs?top={}", arguments.top))?);
        return Ok(context.output.rows(&rows, &JOB_COLUMNS)?);
    };
    if arguments.cancel {
        let path = format!("/workflows/main/jobs/{}/cancel", segment(job));
        instance.call("POST", &path)?;
    }
    if context.output.json {
        return Ok(output::document(&instance.get(&job_path(job))?)?);
    }
    snapshot::show(context, &instance, &instance.job(job)?)
}

fn card(context: &Context, card: &Value) -> anyhow::Result<()> {
    let output = context.output;
    if output.json {
        return Ok(output::document(card)?);
    }
    let part = |name| card.get(name).cloned().unwrap_or_default();
    output::line(&format!(
        "profile {}  generation {}  asOf {}\n",
        output::cell(&part("profileId")),
        part("generation"),
        output::cell(&part("asOf"))
    ))?;
    output.rows(&rows_of(part("fields")), &CARD_COLUMNS)?;
    if part("measures")
        .as_object()
        .is_some_and(|measures| !measures.is_empty())
    {
        output::line("\nmeasures")?;
        output.object(&part("measures"))?;
    }
    if part("segments")
        .as_array()
        .is_some_and(|segments| !segments.is_empty())
    {
        output::line(&format!("\nsegments  {}", part("segments")))?;
    }
    output::line("\ntimeline, newest first")?;
    Ok(output.rows(&rows_of(part("timeline")), &TIMELINE_COLUMNS)?)
}

/// The route below the instance, with its options.
fn route(arguments: &GetArgs) -> String {
    let top = arguments.top.map(|top| top.to_string());
    let mut options: Vec<(&str, &str)> = Vec::new();
    if arguments.timeline {
        options.extend(top.as_deref().map(|top| ("top", top)));
        let profile = segment(&arguments.path);
        return format!("/customers/{profile}/timeline{}", query(&options));
    }
    let texts = [
        ("$filter", &arguments.filter),
        ("$select", &arguments.select),
        ("$orderby", &arguments.orderby),
        ("$top", &top),
    ];
    for (name, text) in texts {
        options.extend(text.as_deref().map(|text| (name, text)));
    }
    if arguments.count {
        options.push(("$count", "true"));
    }
    if arguments.explain {
        options.push(("explain", "true"));
    }
    if arguments.view == ViewArg::Source {
        options.push(("view", "source"));
    }
    // `Entity/key` is two segments, `Entity('a/b')` one.
    let path = match arguments.path.split_once('/') {
        Some((entity, key)) if !entity.contains('(') => {
            format!("{}/{}", segment(entity), segment(key))
        }
        _ => segment(&arguments.path),
    };
    format!("/data/{path}{}", query(&options))
}

/// Reads further pages until `top` rows are there; without it the first page is enough.
fn follow(context: &Context, answer: &mut Value, top: Option<usize>) -> anyhow::Result<()> {
    let Some(top) = top else { return Ok(()) };
    loop {
        let Some(link) = next_link(answer) else {
            return Ok(());
        };
        let got = answer
            .get("value")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        if got >= top {
            return Ok(());
        }
        let mut page = context.client.get(&link)?;
        let further = next_link(&page);
        let rows = page.get_mut("value").map(Value::take).unwrap_or_default();
        let Some(fields) = answer.as_object_mut() else {
            return Ok(());
        };
        extend(fields, rows_of(rows));
        for name in NEXT_LINKS {
            if let Some(link) = fields.get_mut(name) {
                *link = further.clone().map_or(Value::Null, Value::String);
            }
        }
    }
}

fn extend(fields: &mut Map<String, Value>, rows: Vec<Value>) {
    if let Some(present) = fields.get_mut("value").and_then(Value::as_array_mut) {
        present.extend(rows);
    }
}

fn next_link(answer: &Value) -> Option<String> {
    let mut links = NEXT_LINKS
        .iter()
        .filter_map(|name| answer.get(*name)?.as_str());
    links.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn options_become_an_encoded_query() {
        for (words, expected) in [
            (&["Customer"][..], "/data/Customer"),
            (&["Customer('c 1')"], "/data/Customer('c%201')"),
            (&["Customer('a/b')"], "/data/Customer('a%2Fb')"),
            (&["Customer/a b"], "/data/Customer/a%20b"),
            (
                &[
                    "Customer",
                    "--filter",
                    "City eq 'Å&B'",
                    "--top",
                    "3",
                    "--count",
                ],
                "/data/Customer?$filter=City%20eq%20'%C3%85%26B'&$top=3&$count=true",
            ),
            (
                &["Customer", "--explain", "--view", "source"],
                "/data/Customer?explain=true&view=source",
            ),
            (
                &["c/1", "--timeline", "--top", "5"],
                "/customers/c%2F1/timeline?top=5",
            ),
        ] {
            let start = ["sanntid", "get", "--instance", "i"];
            let cli = Cli::try_parse_from(start.iter().chain(words)).unwrap();
            let Command::Get(arguments) = cli.command else {
                panic!("another command");
            };
            assert_eq!(route(&arguments), expected, "{words:?}");
        }
    }
}
