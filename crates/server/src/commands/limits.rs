//! Owns `sanntid limits …`.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use super::Context;
use crate::cli::LimitsCommand;
use crate::output;

const ROUTE: &str = "/manage/limits";
/// Takes a limit of the server's instead of one of the instance's own.
const DEFAULT: &str = "default";

pub(super) fn run(context: &Context, command: &LimitsCommand) -> anyhow::Result<()> {
    match command {
        LimitsCommand::Show { instance } => show(context, &context.instance(instance).get(ROUTE)?),
        LimitsCommand::Set { instance, limits } => {
            let instance = context.instance(instance);
            let now = instance.get(ROUTE)?;
            let own = now.get("own").and_then(Value::as_object).cloned();
            let own = changed(own.unwrap_or_default(), limits)?;
            let stored = instance.send("PUT", ROUTE, &Value::Object(own))?.body;
            show(context, &stored)
        }
    }
}

fn changed(mut own: Map<String, Value>, pairs: &[String]) -> anyhow::Result<Map<String, Value>> {
    for pair in pairs {
        let Some((name, number)) = pair.split_once('=') else {
            bail!("{pair:?} has no =; expected NAME=NUMBER");
        };
        if number == DEFAULT {
            own.remove(name);
            continue;
        }
        let what = || format!("{name}: expected a whole number or {DEFAULT}, not {number:?}");
        let number: u64 = number.parse().with_context(what)?;
        own.insert(name.to_owned(), json!(number));
    }
    Ok(own)
}

/// Prints what is in effect, where it comes from, and what is in use.
fn show(context: &Context, answer: &Value) -> anyhow::Result<()> {
    if context.output.json {
        return Ok(output::document(answer)?);
    }
    let of = |part: &str, name: &str| answer.get(part).and_then(|part| part.get(name)).cloned();
    let limits = answer.get("limits").and_then(Value::as_object);
    let rows: Vec<Value> = limits
        .into_iter()
        .flatten()
        .map(|(name, limit)| {
            let is_own = of("own", name).is_some();
            json!({
                "limit": name,
                "value": limit,
                "set": if is_own { "instance" } else { "server" },
                "use": of("use", name),
            })
        })
        .collect();
    Ok(context
        .output
        .rows(&rows, &["limit", "value", "set", "use"])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays_and_default_takes_back() {
        let own = json!({"requestsPerSecond": 5, "activities": 7});
        let own = own.as_object().cloned().unwrap_or_default();
        let pairs = ["requestsPerSecond=default", "storedBytes=0"].map(str::to_owned);
        let changed_to = changed(own.clone(), &pairs).unwrap();
        assert_eq!(
            Value::Object(changed_to),
            json!({"activities": 7, "storedBytes": 0})
        );
        for bad in [
            "activities",
            "activities=many",
            "activities=-1",
            "activities=",
        ] {
            assert!(changed(own.clone(), &[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
