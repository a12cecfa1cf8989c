//! Owns what each command does: calls the server, prints, and says how it went by the exit code.

mod access;
mod audit;
mod bench;
mod bulk;
mod clock;
mod customer;
mod export;
mod instances;
mod limits;
mod reads;
mod refresh;
mod schedule;
mod simulate;
mod snapshot;
mod sources;
mod writes;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use serde_json::Value;

use crate::api::Instance;
use crate::cli::{
    ActivitiesCommand, Cli, Command, InstanceArg, ServeArgs, ServerArgs, SettingsCommand,
    SnapshotCommand,
};
use crate::client::{Client, URL_DEFAULT};
use crate::config::{self, Config, Environment, Secret};
use crate::output::{self, Output, note};
use crate::signals::Interrupt;
use crate::{demo, key_values, logging, serve};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_output(&error) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// What a command has at hand.
struct Context {
    client: Client,
    output: Output,
}

impl Context {
    fn new(arguments: &ServerArgs, environment: &Environment) -> anyhow::Result<Self> {
        let interrupt = Interrupt::on_signal()?;
        let of = |given: &Option<String>, name| given.clone().or(environment.get(name).cloned());
        let url = of(&arguments.url, "SANNTID_URL").unwrap_or_else(|| URL_DEFAULT.to_owned());
        let key = of(&arguments.key, "SANNTID_KEY").map(Secret::new);
        let mut client = Client::new(&url, key, interrupt)?;
        let named = environment.get("SANNTID_CA").map(PathBuf::from);
        if let Some(path) = arguments.ca.clone().or(named) {
            let what = || format!("--ca: {} can't be read", path.display());
            client = client.trusting(&std::fs::read(&path).with_context(what)?)?;
        }
        Ok(Self {
            client,
            output: Output::new(arguments.json),
        })
    }

    fn instance(&self, argument: &InstanceArg) -> Instance {
        Instance::new(&self.client, &argument.instance)
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let environment = config::environment()?;
    match cli.command {
        Command::Serve(arguments) => return serve(&arguments, &environment),
        Command::Demo(arguments) => return demo::run(&arguments, Output::new(false)),
        Command::Bench(arguments) => return bench::run(Output::new(cli.server.json), &arguments),
        _ => {}
    }
    let context = Context::new(&cli.server, &environment)?;
    match cli.command {
        Command::Serve(_) | Command::Demo(_) | Command::Bench(_) => Ok(()),
        Command::Instance(command) => instances::run(&context, command),
        Command::Activities(command) => activities(&context, &command),
        Command::Settings(command) => settings(&context, &command),
        Command::Snapshot(SnapshotCommand::Push(arguments)) => snapshot::push(&context, &arguments),
        Command::Patch(arguments) => writes::patch(&context, &arguments),
        Command::Activity(arguments) => writes::activity(&context, &arguments),
        Command::Bulk(arguments) => bulk::run(&context, &arguments),
        Command::Get(arguments) => reads::get(&context, &arguments),
        Command::Export(arguments) => export::run(&context, &arguments),
        Command::Customer(command) => customer::run(&context, &command),
        Command::Schedule(command) => schedule::run(&context, &command),
        Command::Jobs(arguments) => reads::jobs(&context, &arguments),
        Command::Refresh(arguments) => refresh::run(&context, &arguments),
        Command::Simulate(arguments) => simulate::run(&context, &arguments),
        Command::Source(command) => sources::run(&context, &command),
        Command::Key(command) => access::keys(&context, &command),
        Command::Role(command) => access::roles(&context, &command),
        Command::Limits(command) => limits::run(&context, &command),
        Command::Audit(arguments) => audit::run(&context, &arguments),
        Command::Clock(command) => clock::run(&context, &command),
    }
}

fn serve(arguments: &ServeArgs, environment: &Environment) -> anyhow::Result<()> {
    let config = Config::load(&arguments.config, environment)?;
    if arguments.print_config {
        return Ok(output::line(&format!("{config:#?}"))?);
    }
    logging::start(&config.log)?;
    let scheme = config.tls.scheme();
    serve::run(&config, |address| {
        // Whoever started us may have closed our output; that is no reason to stop.
        if let Err(error) = output::line(&format!("listening on {scheme}://{address}")) {
            tracing::debug!(%error, "the address could not be printed");
        }
    })
}

fn activities(context: &Context, command: &ActivitiesCommand) -> anyhow::Result<()> {
    let shown = match command {
        ActivitiesCommand::Get { instance } => {
            context.instance(instance).get("/manage/activities")?
        }
        ActivitiesCommand::Set { instance, file } => {
            let given = match file.as_str() {
                "-" => key_values::json_text("-")?,
                path => key_values::json_text(&format!("@{path}"))?,
            };
            let given: Value = serde_json::from_str(&given)?;
            let instance = context.instance(instance);
            let answer = instance.send("PUT", "/manage/activities", &given)?;
            if answer.status == 202 {
                note("the rows already loaded are projected anew by this job:");
            }
            answer.body
        }
    };
    Ok(output::document(&shown)?)
}

fn settings(context: &Context, command: &SettingsCommand) -> anyhow::Result<()> {
    const ROUTE: &str = "/manage/realtime";
    let shown = match command {
        SettingsCommand::Get { instance } => context.instance(instance).get(ROUTE)?,
        SettingsCommand::Set { instance, pairs } => {
            let instance = context.instance(instance);
            let mut settings = instance.get(ROUTE)?;
            apply(&mut settings, pairs)?;
            instance.send("PUT", ROUTE, &settings)?.body
        }
    };
    Ok(context.output.object(&shown)?)
}

/// Lays pairs over settings; a text is read as a number where the setting is one.
fn apply(settings: &mut Value, pairs: &[String]) -> anyhow::Result<()> {
    let given: Value = serde_json::from_str(&key_values::object_of(pairs)?)?;
    let (Some(settings), Some(given)) = (settings.as_object_mut(), given.as_object()) else {
        anyhow::bail!("the server gave no settings");
    };
    for (key, value) in given {
        let Some(present) = settings.get_mut(key) else {
            let known: Vec<&str> = settings.keys().map(String::as_str).collect();
            anyhow::bail!("{key} is no setting; known are {}", known.join(", "));
        };
        *present = match value.as_str() {
            Some(text) if present.is_number() => serde_json::from_str(text)
                .map_err(|_| anyhow::anyhow!("{key}: expected a number, got {text:?}"))?,
            _ => value.clone(),
        };
    }
    Ok(())
}

/// Whether the reader of our output is gone, as in `sanntid get … | head`.
fn is_closed_output(error: &anyhow::Error) -> bool {
    let output = error.downcast_ref::<io::Error>();
    output.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_keep_their_types_and_refuse_unknown_names() {
        let mut settings = json!({"refreshClears": "always", "asOfMarginSecs": 0, "percent": 1.0});
        let pairs = |list: &[&str]| {
            list.iter()
                .map(|pair| (*pair).to_owned())
                .collect::<Vec<_>>()
        };
        apply(
            &mut settings,
            &pairs(&["refreshClears=never", "asOfMarginSecs=5"]),
        )
        .unwrap();
        assert_eq!(
            settings,
            json!({"refreshClears": "never", "asOfMarginSecs": 5, "percent": 1.0})
        );
        let unknown = apply(&mut settings, &pairs(&["clears=never"])).unwrap_err();
        assert!(unknown.to_string().contains("refreshClears"), "{unknown}");
        let text = apply(&mut settings, &pairs(&["asOfMarginSecs=soon"])).unwrap_err();
        assert!(text.to_string().contains("expected a number"), "{text}");
    }
}
