//! Owns `sanntid bench`: hands the measurements what only this crate has, and prints reports.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use sanntid_bench::{
    ApiOptions, BareOptions, Bench, DuringOptions, FairnessOptions, Narrator, RefreshOptions,
    Report, RestartOptions, SwitchOptions, Timer,
};
use serde_json::Value;

use crate::cli::{ApiArgs, BenchArgs, BenchCommand, SizeArgs};
use crate::clock::{self, SystemClock};
use crate::output::{self, Output, note};
use crate::signals::Interrupt;

/// How often a bar is drawn where nothing else happens.
const DRAW_EVERY: Duration = Duration::from_millis(200);

pub(super) fn run(output: Output, arguments: &BenchArgs) -> anyhow::Result<()> {
    if let BenchCommand::BareServer {
        workers,
        read_bytes,
        activity_bytes,
    } = arguments.command
    {
        let options = BareOptions {
            workers,
            read_bytes,
            activity_bytes,
        };
        return serve_bare(&options);
    }
    let narrator = Bars {
        bar: std::sync::Mutex::new(ProgressBar::hidden()),
        interrupt: Interrupt::on_signal()?,
    };
    let clock = SystemClock::new();
    let bench = Bench {
        program: std::env::current_exe().context("where is this program?")?,
        server_settings: arguments.set.clone(),
        timer: Timer::new(clock::monotonic),
        clock: &clock,
        narrator: &narrator,
    };
    show(output, &measure(&bench, arguments)?)
}

fn measure(bench: &Bench<'_>, arguments: &BenchArgs) -> Result<Report, sanntid_bench::Error> {
    let folder = arguments.dir.clone();
    let load = |size: SizeArgs| RefreshOptions {
        profiles: size.profiles,
        activities: size.activities,
        folder: folder.clone(),
    };
    match arguments.command.clone() {
        BenchCommand::Refresh(size) => sanntid_bench::refresh(bench, &load(size)),
        BenchCommand::Restart {
            size,
            rounds,
            patches,
        } => {
            let load = load(size);
            let options = RestartOptions {
                load,
                rounds,
                patches,
            };
            sanntid_bench::restart(bench, &options)
        }
        BenchCommand::Switch(given) => {
            let options = SwitchOptions {
                sizes: given.sizes,
                rounds: given.rounds,
                rate: given.rate,
                connections: given.connections,
                folder,
            };
            sanntid_bench::switch(bench, &options)
        }
        BenchCommand::During(given) => {
            let options = DuringOptions {
                profiles: given.size.profiles,
                activities: given.size.activities,
                rounds: given.rounds,
                span: Duration::from_secs(given.seconds),
                rate: given.rate,
                connections: given.connections,
                folder,
            };
            sanntid_bench::during(bench, &options)
        }
        BenchCommand::Fairness(given) => {
            let options = FairnessOptions {
                profiles: given.profiles,
                rounds: given.rounds,
                span: Duration::from_secs(given.seconds),
                rate: given.rate,
                connections: given.connections,
                folder,
            };
            sanntid_bench::fairness(bench, &options)
        }
        BenchCommand::Api(given) => sanntid_bench::api_load(bench, &api(given, folder)),
        BenchCommand::BareServer { .. } => Err(sanntid_bench::Error::Interrupted),
    }
}

/// Threads that serve are a setting of the server's, so that both have the same.
fn api(arguments: ApiArgs, folder: Option<PathBuf>) -> ApiOptions {
    ApiOptions {
        profiles: arguments.profiles,
        tenants: arguments.tenants,
        connections: arguments.connections,
        rounds: arguments.rounds,
        span: Duration::from_secs(arguments.seconds),
        workloads: arguments.workload,
        workers: arguments.workers,
        redis: arguments.redis,
        postgres: arguments.postgres,
        restate: arguments.restate,
        folder,
    }
}

fn serve_bare(options: &BareOptions) -> anyhow::Result<()> {
    sanntid_bench::bare_server(options, |address| {
        // Whoever started us waits for this line; without it nobody can use the server.
        if let Err(error) = output::line(&format!("listening on http://{address}")) {
            note(&format!("the address could not be printed: {error}"));
        }
    })?;
    Ok(())
}

fn show(output: Output, report: &Report) -> anyhow::Result<()> {
    if output.json {
        return Ok(output::document(&serde_json::to_value(report)?)?);
    }
    output::line(&format!("sanntid bench {}", report.name))?;
    output.object(&Value::Object(report.settings.clone()))?;
    for table in &report.tables {
        output::line(&format!("\n{}", table.title))?;
        output.rows(&table.rows, &table.columns)?;
    }
    for remark in &report.remarks {
        output::line(&format!("\n{remark}"))?;
    }
    Ok(())
}

/// Draws a bar for what is under way; where there is no terminal, a line for each thing done.
struct Bars {
    bar: std::sync::Mutex<ProgressBar>,
    interrupt: Interrupt,
}

impl Bars {
    fn bar(&self) -> ProgressBar {
        let bar = self.bar.lock();
        bar.unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}

impl Narrator for Bars {
    fn begin(&self, what: &str, steps: Option<u64>) {
        let (bar, style) = match steps {
            Some(steps) => (
                ProgressBar::new(steps),
                "{msg:36} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{msg:36} {spinner} {human_pos} {elapsed}",
            ),
        };
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        if std::io::stderr().is_terminal() {
            bar.enable_steady_tick(DRAW_EVERY);
        }
        *self
            .bar
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = bar;
    }

    fn at(&self, steps: u64, remark: &str) {
        let bar = self.bar();
        bar.set_position(steps);
        if !remark.is_empty() {
            bar.set_message(remark.to_owned());
        }
    }

    fn end(&self, remark: &str) {
        let bar = self.bar();
        let took = bar.elapsed();
        bar.finish_and_clear();
        if !remark.is_empty() {
            note(&format!("{remark} ({:.1} s)", took.as_secs_f64()));
        }
    }

    fn is_stopped(&self) -> bool {
        self.interrupt.is_raised()
    }
}
