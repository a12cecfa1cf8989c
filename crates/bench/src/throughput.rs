//! Owns `api`: what goes through the front door, beside a bare server and other programs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::child::Server;
use crate::contend::{self, Contender, Figures, Task};
use crate::load::pick::{Pick, Zipf};
use crate::load::work::{Kind, activity_body};
use crate::peers::postgres;
use crate::report::rounded;
use crate::site::Site;
use crate::source::{Size, Source};
use crate::timer::{median, spread};
use crate::{Bench, Error, Report, data, loaded};

/// Customers of each of the many tenants.
const TENANT_PROFILES: u64 = 100;

const EACH: [&str; 11] = [
    "workload",
    "connections",
    "round",
    "who",
    "perSecond",
    "p50Ms",
    "p99Ms",
    "p99.9Ms",
    "worstMs",
    "serverCpuMicros",
    "clientCpuMicros",
];
const SUMMARY: [&str; 7] = [
    "workload",
    "connections",
    "who",
    "perSecond",
    "sanntidToIt",
    "from",
    "to",
];

/// What `api` is told.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    pub profiles: u64,
    /// Instances of the workload with many of them.
    pub tenants: u64,
    pub connections: Vec<u32>,
    pub rounds: u32,
    pub span: Duration,
    /// Names of workloads; all where there is none.
    pub workloads: Vec<String>,
    /// Threads that serve, here and in the bare server.
    pub workers: u32,
    pub redis: Option<SocketAddr>,
    /// As psql takes it.
    pub postgres: Option<String>,
    pub restate: Option<SocketAddr>,
    pub folder: Option<PathBuf>,
}

/// One way of using the service.
struct Workload {
    name: &'static str,
    kind: Kind,
    pick: Pick,
    has_many_tenants: bool,
    /// Whether other programs do about the same.
    has_peers: bool,
}

/// The names of the workloads.
pub const WORKLOADS: [&str; 7] = [
    "patch",
    "patch-skewed",
    "patch-hot",
    "activity",
    "read-skewed",
    "mixed-skewed",
    "patch-tenants",
];

/// Measures all workloads in turns.
///
/// # Errors
/// Every [`Error`].
pub fn api_load(bench: &Bench<'_>, options: &ApiOptions) -> Result<Report, Error> {
    let workloads = workloads(options)?;
    let site = Site::open(options.folder.as_deref())?;
    let size = Size {
        profiles: options.profiles,
        activities: 0,
    };
    let source = Source::make(bench, &site, size)?;
    let server = loaded::empty(bench, &site, "api", &source)?;
    loaded::load(bench, &server, &source)?;
    let tenants = if workloads.iter().any(|workload| workload.has_many_tenants) {
        tenants(bench, &site, &server, options.tenants)?
    } else {
        Vec::new()
    };
    let settings = json!({
        "profiles": options.profiles, "tenants": tenants.len(), "rounds": options.rounds,
        "secondsEach": options.span.as_secs_f64(), "httpWorkersEach": options.workers,
    });
    let mut report = Report::new(bench, "api", settings);
    let contenders = contenders(bench, &server, options, &mut report)?;
    let mut rows = Vec::new();
    let mut summary = Vec::new();
    let main = vec![data::INSTANCE.to_owned()];
    for (index, workload) in (0_u64..).zip(&workloads) {
        for connections in &options.connections {
            let mut rounds: Vec<Vec<(String, Figures)>> = Vec::new();
            for round in 0..options.rounds {
                let task = Task {
                    kind: workload.kind,
                    pick: workload.pick.clone(),
                    instances: if workload.has_many_tenants {
                        &tenants
                    } else {
                        &main
                    },
                    profiles: options.profiles,
                    connections: usize::try_from(*connections).unwrap_or(1),
                    span: options.span,
                    // No activity of one measurement has the id of another's.
                    salt: 1 + u64::from(round) + (index << 16) + (u64::from(*connections) << 32),
                };
                let mut figures = Vec::new();
                let takes_part = |c: &&Contender<'_>| workload.has_peers || !c.is_peer();
                for contender in contenders.iter().filter(takes_part) {
                    bench.check()?;
                    let name = contender.name();
                    bench
                        .narrator
                        .begin(&format!("{} by {name}", workload.name), None);
                    let found = contender.run(bench, &site.server("peer"), &task)?;
                    bench.narrator.end("");
                    rows.push(row(workload.name, *connections, round + 1, &name, &found));
                    figures.push((name, found));
                }
                rounds.push(figures);
            }
            summary.extend(summarize(workload.name, *connections, &rounds));
        }
    }
    drop(contenders);
    server.process.stop()?;
    report.table("each round", &EACH, rows);
    report.table("medians; ratios are within a round", &SUMMARY, summary);
    report.remark(
        "latencies are of whole requests, of the pipelined Redis those of 16 updates; cpu is per \
         write or read, the client's includes making the requests; pgbench's is not known",
    );
    Ok(report.finished())
}

fn workloads(options: &ApiOptions) -> Result<Vec<Workload>, Error> {
    let unknown = options
        .workloads
        .iter()
        .find(|name| !WORKLOADS.contains(&name.as_str()));
    if let Some(unknown) = unknown {
        let known = WORKLOADS.join(", ");
        return Err(Error::unexpected(format!(
            "{unknown} is no workload; known are {known}"
        )));
    }
    let profiles = options.profiles;
    let (even, zipf) = (Pick::Even(profiles), Pick::Skewed(Zipf::of(profiles)));
    let of = |name: &'static str| {
        let (kind, pick) = match name {
            "activity" => (Kind::Activity, even.clone()),
            "patch-skewed" => (Kind::Patch, zipf.clone()),
            "patch-hot" => (Kind::Patch, Pick::One),
            "read-skewed" => (Kind::Read, zipf.clone()),
            "mixed-skewed" => (Kind::Mixed, zipf.clone()),
            "patch-tenants" => (Kind::Patch, Pick::Even(TENANT_PROFILES)),
            _ => (Kind::Patch, even.clone()),
        };
        Workload {
            name,
            kind,
            pick,
            has_many_tenants: name == "patch-tenants",
            has_peers: matches!(name, "patch-skewed" | "patch-hot"),
        }
    };
    let wanted = |name: &&&str| {
        options.workloads.is_empty() || options.workloads.iter().any(|given| given == **name)
    };
    Ok(WORKLOADS
        .iter()
        .filter(wanted)
        .map(|name| of(name))
        .collect())
}

fn contenders<'a>(
    bench: &Bench<'_>,
    server: &'a Server,
    options: &'a ApiOptions,
    report: &mut Report,
) -> Result<Vec<Contender<'a>>, Error> {
    let customer = data::customer_id(0);
    let read = format!("/api/instances/{}/data/Customer/{customer}", data::INSTANCE);
    let (status, read_answer) = server.api.try_call("GET", &read, None)?;
    let append = format!("/api/instances/{}/data/UnifiedActivity", data::INSTANCE);
    let activity = serde_json::from_str(&activity_body(0, &customer)).unwrap_or(Value::Null);
    let (appended, append_answer) = server.api.try_call("POST", &append, Some(&activity))?;
    if (status, appended) != (200, 201) {
        let text = format!("a read was answered with {status}, an activity with {appended}");
        return Err(Error::unexpected(text));
    }
    let (read_bytes, append_bytes) = (read_answer.len(), append_answer.len());
    let mut contenders = vec![
        contend::bare(bench, options.workers, read_bytes, append_bytes)?,
        Contender::Sanntid(server),
    ];
    let mut note = |name: &str, value: Value| {
        report.settings.insert(name.to_owned(), value);
    };
    note("readAnswerBytes", json!(read_bytes));
    note("activityAnswerBytes", json!(append_bytes));
    let absent = json!("not there: no address was given");
    match options.redis {
        Some(address) => {
            let (said, both) = contend::redis(address)?;
            note("redis", json!(said));
            contenders.extend(both);
        }
        None => note("redis", absent.clone()),
    }
    match &options.postgres {
        Some(url) => {
            note("postgres", json!(postgres::prepare(url)?));
            contenders.push(Contender::Postgres(url));
        }
        None => note("postgres", absent.clone()),
    }
    match options.restate {
        Some(address) => {
            note("restate", json!(address.to_string()));
            contenders.push(Contender::Restate(address));
        }
        None => note("restate", absent),
    }
    Ok(contenders)
}

/// Makes many instances with a few customers each.
fn tenants(
    bench: &Bench<'_>,
    site: &Site,
    server: &Server,
    count: u64,
) -> Result<Vec<String>, Error> {
    let size = Size {
        profiles: TENANT_PROFILES,
        activities: 0,
    };
    let source = Source::make(bench, site, size)?;
    bench.narrator.begin("making tenants", Some(count));
    let mut tenants = Vec::new();
    for number in 0..count {
        let id = format!("5a11d000-0000-4000-8001-{number:012x}");
        server
            .api
            .create_instance(&id, &format!("Tenant {number}"))?;
        server.api.put_source(&id, &source.folder)?;
        let job = server.api.refresh(&id)?;
        server.api.wait_for_job(bench, &id, &job, |_| ())?;
        bench.narrator.at(number + 1, "");
        tenants.push(id);
    }
    bench.narrator.end("");
    Ok(tenants)
}

fn row(workload: &str, connections: u32, round: u32, name: &str, found: &Figures) -> Value {
    let micros = |span: Option<Duration>| span.map(|span| rounded(span.as_secs_f64() * 1e6));
    let percentile = |percent| rounded(found.latencies.percentile_ms(percent));
    json!({
        "workload": workload, "connections": connections, "round": round, "who": name,
        "perSecond": rounded(found.per_second), "p50Ms": percentile(50.0),
        "p99Ms": percentile(99.0), "p99.9Ms": percentile(99.9),
        "worstMs": rounded(found.latencies.worst_ms()),
        "serverCpuMicros": micros(found.server_cpu), "clientCpuMicros": micros(found.client_cpu),
    })
}

/// The medians over rounds, and the server's ratio to each of the others.
fn summarize(workload: &str, connections: u32, rounds: &[Vec<(String, Figures)>]) -> Vec<Value> {
    let names = rounds
        .first()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone());
    let of = |name: &str| -> Vec<f64> {
        let in_round = |round: &Vec<(String, Figures)>| {
            round
                .iter()
                .find(|(who, _)| who == name)
                .map(|(_, found)| found.per_second)
        };
        rounds.iter().filter_map(in_round).collect()
    };
    let own = of("sanntid");
    let summary = names.map(|name| {
        let theirs = of(&name);
        let ratios: Vec<f64> = own
            .iter()
            .zip(&theirs)
            .map(|(own, their)| own / their)
            .collect();
        let (low, high) = spread(&ratios);
        json!({
            "workload": workload, "connections": connections, "who": name,
            "perSecond": rounded(median(&theirs)), "sanntidToIt": rounded(median(&ratios)),
            "from": rounded(low), "to": rounded(high),
        })
    });
    summary.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Latencies;

    #[test]
    fn ratios_are_taken_within_rounds() {
        let figures = |per_second| Figures {
            per_second,
            latencies: Latencies::new(),
            server_cpu: None,
            client_cpu: None,
        };
        let round = |bare, own| {
            vec![
                ("bare".to_owned(), figures(bare)),
                ("sanntid".to_owned(), figures(own)),
            ]
        };
        // The machine was half as fast in the second round; no ratio of medians would be 0.5.
        let rounds = [round(100.0, 50.0), round(50.0, 25.0), round(100.0, 40.0)];
        let summary = summarize("patch", 1, &rounds);
        let bare = &summary[0];
        assert_eq!(
            (&bare["who"], &bare["perSecond"]),
            (&json!("bare"), &json!(100))
        );
        assert_eq!(
            (&bare["sanntidToIt"], &bare["from"]),
            (&json!(0.5), &json!(0.4))
        );
        assert_eq!(summary[1]["sanntidToIt"], json!(1.0));
    }
}
