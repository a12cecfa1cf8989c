//! Owns PostgreSQL as a peer: an upsert of a document, by its own `pgbench`, which costs its server
//! least.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::error::{Doing, Error};
use crate::load::Latencies;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS overlay \
    (id bigint PRIMARY KEY, fields jsonb NOT NULL, expires_at timestamptz NOT NULL)";
/// Zipf's law as far as pgbench takes it: its skew must be above one.
const UPSERT: &str = "\\set id random_zipfian(1, :profiles, 1.001)
INSERT INTO overlay VALUES (:id, '{\"City\": \"Bergen\", \"LoyaltyTier\": \"gold\"}', \
    now() + interval '4 hours') \
    ON CONFLICT (id) DO UPDATE SET fields = overlay.fields || excluded.fields, \
    expires_at = excluded.expires_at;
";

/// What pgbench has measured.
pub(crate) struct Upserts {
    pub(crate) per_second: f64,
    pub(crate) latencies: Latencies,
}

/// Makes the table; gives the version and whether commits are synced.
pub(crate) fn prepare(url: &str) -> Result<String, Error> {
    let ask = |query: &str| {
        run(Command::new("psql").args(["-X", "-q", "-t", "-A", "-d", url, "-c", query]))
    };
    ask(TABLE)?;
    let version = ask("SHOW server_version")?;
    let mut said = format!("PostgreSQL {}", version.trim());
    for setting in ["synchronous_commit", "fsync", "shared_buffers"] {
        let value = ask(&format!("SHOW {setting}"))?;
        said.push_str(&format!(", {setting}={}", value.trim()));
    }
    Ok(said)
}

/// Upserts for a span from so many connections; `folder` takes what pgbench writes.
pub(crate) fn upsert(
    url: &str,
    folder: &Path,
    profiles: u64,
    connections: usize,
    span: Duration,
) -> Result<Upserts, Error> {
    let doing = || "preparing pgbench".to_owned();
    fs::create_dir_all(folder).doing(doing)?;
    let script = folder.join("upsert.sql");
    fs::write(&script, UPSERT).doing(doing)?;
    let connections_text = connections.to_string();
    let threads = connections.min(2).to_string();
    let said = run(Command::new("pgbench")
        .current_dir(folder)
        .args(["-n", "-M", "prepared", "-l", "--log-prefix=latency"])
        .args(["-c", &connections_text, "-j", &threads])
        .args(["-T", &span.as_secs().max(1).to_string()])
        .args(["-D", &format!("profiles={profiles}")])
        .arg("-f")
        .arg(&script)
        .arg(url))?;
    let per_second = rate_of(&said);
    let per_second = per_second.ok_or_else(|| Error::unexpected("pgbench tells no rate"))?;
    let mut latencies = Latencies::new();
    for entry in fs::read_dir(folder).doing(doing)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("latency") {
            let text = fs::read_to_string(entry.path()).doing(doing)?;
            text.lines()
                .filter_map(latency_of)
                .for_each(|took| latencies.record(took));
        }
    }
    crate::site::remove(folder)?;
    Ok(Upserts {
        per_second,
        latencies,
    })
}

fn run(command: &mut Command) -> Result<String, Error> {
    let what = command.get_program().display().to_string();
    let output = command.output().doing(|| format!("running {what}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::unexpected(format!("{what} failed: {}", said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn rate_of(said: &str) -> Option<f64> {
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split(' ').next()?.parse().ok()
}

/// Of a line `client transaction microseconds script seconds microseconds`.
fn latency_of(line: &str) -> Option<Duration> {
    let micros = line.split(' ').nth(2)?.parse().ok()?;
    Some(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pgbench_says_is_read() {
        let said = "number of clients: 4\ntps = 1234.500000 (without initial connection time)\n";
        assert_eq!(rate_of(said), Some(1234.5));
        assert_eq!(rate_of("none"), None);
        assert_eq!(
            latency_of("0 199 2241 0 1175850568 995598"),
            Some(Duration::from_micros(2241))
        );
        assert_eq!(latency_of(""), None);
    }
}
