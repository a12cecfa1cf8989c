//! Owns the calls that set a measurement up: instances, data sources, jobs. None of them is timed.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Error;
use crate::http::{Connection, write_request};
use crate::{Bench, data};

/// How often a job is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(200);
/// How much of an answer is shown where it is not the one expected.
const SHOWN_CHARS: usize = 300;

/// A server and the key to call it with.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    key: String,
}

/// How far a job came.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) status: String,
    pub(crate) document: Value,
}

impl Job {
    pub(crate) fn is_ended(&self) -> bool {
        !matches!(self.status.as_str(), "queued" | "running")
    }

    /// A number of the job's report; zero where it has none.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.report(name).as_u64().unwrap_or(0)
    }

    /// The stages with rows and durations, in order.
    pub(crate) fn stages(&self) -> Vec<Value> {
        self.report("stages")
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// How long a stage took in milliseconds.
    pub(crate) fn stage_ms(&self, name: &str) -> u64 {
        let stages = self.stages();
        let found = stages.iter().find(|stage| text(stage, "name") == name);
        let millis = found.and_then(|stage| stage.get("durationMs")?.as_u64());
        millis.unwrap_or(0)
    }

    /// The stage that runs and the rows it has done.
    pub(crate) fn running(&self) -> Option<(String, u64)> {
        let stages = self.stages();
        let mut running = stages
            .iter()
            .filter(|stage| text(stage, "status") == "running");
        let stage = running.next()?;
        let rows = stage.get("rows").and_then(Value::as_u64).unwrap_or(0);
        Some((text(stage, "name").to_owned(), rows))
    }

    fn report(&self, name: &str) -> &Value {
        let report = self.document.get("report");
        report
            .and_then(|report| report.get(name))
            .unwrap_or(&Value::Null)
    }
}

impl Api {
    pub(crate) fn new(address: SocketAddr, key: &str) -> Self {
        Self {
            address,
            key: key.to_owned(),
        }
    }

    /// The header lines that every request carries.
    pub(crate) fn headers(&self) -> String {
        format!("Ocp-Apim-Subscription-Key: {}\r\n", self.key)
    }

    /// Makes a call on a connection of its own; gives status and body, whatever they are.
    pub(crate) fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), Error> {
        let mut request = Vec::new();
        let body = body.map(Value::to_string).unwrap_or_default();
        write_request(&mut request, method, path, &self.headers(), body.as_bytes());
        let mut connection = Connection::open(self.address)?;
        let (head, body) = connection.exchange(&request)?;
        Ok((head.status, body.to_vec()))
    }

    /// Makes a call that must succeed.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let (status, bytes) = self.try_call(method, path, body)?;
        if !(200..300).contains(&status) {
            return Err(refused(method, path, status, &bytes));
        }
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        let broken = || Error::unexpected(format!("{method} {path}: the answer is no JSON"));
        serde_json::from_slice(&bytes).map_err(|_| broken())
    }

    /// Makes an instance with the activities of the data set configured.
    pub(crate) fn create_instance(&self, id: &str, name: &str) -> Result<(), Error> {
        let metadata = json!({"name": name, "instanceType": "sandbox", "instanceId": id});
        let body = json!({"instanceMetadata": metadata});
        self.call("POST", "/api/instances/V2", Some(&body))?;
        let activities = data::activity_configuration();
        let path = format!("/api/instances/{id}/manage/activities");
        self.call("PUT", &path, Some(&activities)).map(drop)
    }

    /// Makes a folder the instance's data source.
    pub(crate) fn put_source(&self, id: &str, folder: &std::path::Path) -> Result<(), Error> {
        let location = format!("file://{}", folder.display());
        let body = json!({"friendlyName": "bench", "kind": "folder", "location": location});
        let path = format!("/api/instances/{id}/manage/datasources/{}", data::SOURCE_ID);
        self.call("PUT", &path, Some(&body)).map(drop)
    }

    /// Asks for a refresh; gives the job's id.
    pub(crate) fn refresh(&self, id: &str) -> Result<String, Error> {
        let path = format!("/api/instances/{id}/workflows/main/jobs");
        let body = json!({"operationType": "all", "identifiers": [], "forceRunRequested": true});
        job_id(&self.call("POST", &path, Some(&body))?)
    }

    /// Reads a job.
    pub(crate) fn job(&self, id: &str, job: &str) -> Result<Job, Error> {
        let path = format!("/api/instances/{id}/workflows/main/jobs/{job}");
        let document = self.call("GET", &path, None)?;
        Ok(Job {
            status: text(&document, "jobStatus").to_owned(),
            document,
        })
    }

    /// Waits until a job has ended well.
    pub(crate) fn wait_for_job(
        &self,
        bench: &Bench<'_>,
        id: &str,
        job: &str,
        mut seen: impl FnMut(&Job),
    ) -> Result<Job, Error> {
        loop {
            bench.check()?;
            let found = self.job(id, job)?;
            seen(&found);
            if found.status == "successful" {
                return Ok(found);
            }
            if found.is_ended() {
                let why = found.document.pointer("/ciError/message");
                let why = why.and_then(Value::as_str).unwrap_or("no reason is given");
                let text = format!("a refresh ended as {}: {why}", found.status);
                return Err(Error::unexpected(text));
            }
            bench.timer.wait(POLL);
        }
    }
}

/// The id in a job's description.
pub(crate) fn job_id(job: &Value) -> Result<String, Error> {
    let id = text(job, "jobId");
    if id.is_empty() {
        return Err(Error::unexpected("a job without an id"));
    }
    Ok(id.to_owned())
}

fn refused(method: &str, path: &str, status: u16, body: &[u8]) -> Error {
    Error::Refused {
        request: format!("{method} {path}"),
        status,
        body: String::from_utf8_lossy(body)
            .chars()
            .take(SHOWN_CHARS)
            .collect(),
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_tells_what_it_did() {
        let document = json!({"jobStatus": "running", "report": {"rowsRead": 7, "stages": [
            {"name": "ingestion", "status": "successful", "rows": 7, "durationMs": 12},
            {"name": "activity", "status": "running", "rows": 3, "durationMs": 0}]}});
        let job = Job {
            status: "running".to_owned(),
            document,
        };
        assert!(!job.is_ended());
        assert_eq!(job.count("rowsRead"), 7);
        assert_eq!(job.count("other"), 0);
        assert_eq!((job.stage_ms("ingestion"), job.stage_ms("merge")), (12, 0));
        assert_eq!(job.running(), Some(("activity".to_owned(), 3)));
    }
}
