//! Owns the routes that the client side calls, and the shapes of their answers.

use std::io::Write;
use std::time::Duration;

use sanntid_types::{JobReport, JobStatus, Manifest, StageName};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Answer, Body, Client, Error, Stream, query, segment};

/// How often a job is looked at.
const JOB_POLL: Duration = Duration::from_millis(200);

/// One job as the server tells it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    pub job_id: String,
    pub job_status: JobStatus,
    #[serde(default)]
    pub operation_type: String,
    #[serde(default)]
    pub submitted_timestamp: Option<String>,
    #[serde(default)]
    pub end_timestamp: Option<String>,
    #[serde(default)]
    pub tasks: Vec<TaskView>,
    #[serde(default)]
    pub ci_error: Option<TaskError>,
    #[serde(default)]
    pub(crate) report: ReportView,
}

/// What a job did so far; the counts stand there once it has ended well.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct ReportView {
    #[serde(flatten)]
    counts: Option<JobReport>,
}

/// One stage of a job.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskView {
    pub operation_type: StageName,
    pub task_status: JobStatus,
    #[serde(default)]
    pub rows: u64,
    #[serde(default)]
    pub rows_total: Option<u64>,
    #[serde(default)]
    pub ci_error: Option<TaskError>,
}

/// Why a stage failed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TaskError {
    pub message: String,
}

impl JobView {
    /// What it did, once it has ended well.
    pub fn report(&self) -> Option<&JobReport> {
        self.report.counts.as_ref()
    }

    /// Why it failed, where it says so.
    pub fn failure(&self) -> Option<&str> {
        let of_tasks = self.tasks.iter().map(|task| task.ci_error.as_ref());
        let mut errors = std::iter::once(self.ci_error.as_ref()).chain(of_tasks);
        errors.find_map(|error| error.map(|error| error.message.as_str()))
    }

    /// The stage that runs.
    pub fn running(&self) -> Option<&TaskView> {
        let mut tasks = self.tasks.iter();
        tasks.find(|task| task.task_status == JobStatus::Running)
    }
}

/// An upload that can still be filled.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenSnapshot {
    pub snapshot_id: String,
    pub manifest: Manifest,
    pub parts: Vec<ArrivedPart>,
}

/// A part of an upload that the server has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ArrivedPart {
    pub entity: String,
    pub number: usize,
    pub bytes: u64,
    /// The BLAKE3 hash of its bytes, in hex.
    pub hash: String,
}

/// Names one instance on one server.
#[derive(Clone)]
pub struct Instance {
    client: Client,
    path: String,
    id: String,
}

impl Instance {
    /// Names an instance by its id.
    pub fn new(client: &Client, id: &str) -> Self {
        Self {
            client: client.clone(),
            path: format!("/instances/{}", segment(id)),
            id: id.to_owned(),
        }
    }

    /// Creates an instance.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn create(
        client: &Client,
        name: &str,
        instance_type: &str,
        id: Option<&str>,
    ) -> Result<(Self, Value), Error> {
        let mut metadata = json!({"name": name, "instanceType": instance_type});
        if let (Some(id), Some(fields)) = (id, metadata.as_object_mut()) {
            fields.insert("instanceId".to_owned(), json!(id));
        }
        let body = json!({"instanceMetadata": metadata});
        let answer = client.send("POST", "/instances/V2", &body)?.body;
        let id = text_at(&answer, "instanceId")?;
        Ok((Self::new(client, &id), answer))
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The client that it is called with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The same instance, called with another client.
    #[must_use]
    pub fn with_client(&self, client: Client) -> Self {
        Self {
            client,
            ..self.clone()
        }
    }

    /// Reads a route below the instance.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn get(&self, below: &str) -> Result<Value, Error> {
        self.client.get(&format!("{}{below}", self.path))
    }

    /// Writes what a route below the instance answers; gives the number of bytes.
    ///
    /// # Errors
    /// Every [`Error`]; what was written then is not whole.
    pub fn download(&self, below: &str, out: &mut dyn Write) -> Result<u64, Error> {
        self.client.download(&format!("{}{below}", self.path), out)
    }

    /// Sends a document to a route below the instance.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn send(&self, method: &str, below: &str, body: &Value) -> Result<Answer, Error> {
        let path = format!("{}{below}", self.path);
        self.client.send(method, &path, body)
    }

    /// Calls a route below the instance without a body.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn call(&self, method: &str, below: &str) -> Result<Answer, Error> {
        let path = format!("{}{below}", self.path);
        self.client.call(method, &path, &Body::None)
    }

    /// Changes fields of a profile for a while.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn patch(
        &self,
        profile: &str,
        body: &str,
        options: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let options = query(options);
        let path = format!("{}/data/Customer/{}{options}", self.path, segment(profile));
        let body = Body::Json(body.as_bytes());
        self.client.call("PATCH", &path, &body)
    }

    /// Adds an activity.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn append(
        &self,
        entity: &str,
        body: &str,
        options: &[(&str, &str)],
    ) -> Result<Answer, Error> {
        let options = query(options);
        let path = format!("{}/data/{}{options}", self.path, segment(entity));
        let body = Body::Json(body.as_bytes());
        self.client.call("POST", &path, &body)
    }

    /// Sends lines to an entity, to `Customer` as updates, to others as activities; gives the lines
    /// of the answer.
    ///
    /// # Errors
    /// Every [`Error`].
    pub(crate) fn send_lines(&self, entity: &str, lines: &[u8]) -> Result<Vec<Value>, Error> {
        let method = if entity.eq_ignore_ascii_case("Customer") {
            "PATCH"
        } else {
            "POST"
        };
        let path = format!("{}/data/{}/$bulk", self.path, segment(entity));
        self.client.exchange(method, &path, lines)
    }

    /// Reads the customer card.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn card(&self, profile: &str) -> Result<Value, Error> {
        self.get(&format!("/customers/{}/card", segment(profile)))
    }

    /// Opens an upload.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn open_snapshot(&self, manifest: &Manifest) -> Result<String, Error> {
        let mut manifest = manifest.clone();
        for entity in &mut manifest.entities {
            entity.files.clear();
        }
        let manifest = serde_json::to_value(manifest).expect("a manifest is JSON");
        let opened = self.send("POST", "/snapshots", &manifest)?.body;
        text_at(&opened, "snapshotId")
    }

    /// Lists the uploads that can still be filled.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn open_snapshots(&self) -> Result<Vec<OpenSnapshot>, Error> {
        let answer = self.get("/snapshots")?;
        serde_json::from_value(answer).map_err(|error| Error::Unreadable {
            url: "the server".to_owned(),
            shown: format!("open uploads: {error}"),
        })
    }

    /// Sends one part.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn put_part(
        &self,
        snapshot: &str,
        entity: &str,
        number: usize,
        part: &dyn Stream,
    ) -> Result<(), Error> {
        let path = format!(
            "{}/snapshots/{snapshot}/entities/{}/parts/{number}",
            self.path,
            segment(entity)
        );
        let sent = self.client.call("PUT", &path, &Body::Stream(part));
        sent.map(drop)
    }

    /// Commits an upload.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn commit_snapshot(&self, snapshot: &str) -> Result<JobView, Error> {
        let answer = self.call("POST", &format!("/snapshots/{snapshot}/commit"))?;
        job_of(answer.body)
    }

    /// Throws an upload away, also while the user asks to stop.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn abort_snapshot(&self, snapshot: &str) -> Result<(), Error> {
        let aborted = self.call("DELETE", &format!("/snapshots/{snapshot}"));
        aborted.map(drop)
    }

    /// Reads one job.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn job(&self, job: &str) -> Result<JobView, Error> {
        job_of(self.get(&job_path(job))?)
    }

    /// Asks for a refresh from data sources; without any, from all.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn refresh(&self, sources: &[String], forced: bool) -> Result<JobView, Error> {
        let body = json!({
            "operationType": "all", "identifiers": sources, "forceRunRequested": forced
        });
        job_of(self.send("POST", "/workflows/main/jobs", &body)?.body)
    }

    /// Waits until a job has ended, showing each look at it.
    ///
    /// # Errors
    /// Every [`Error`]; the job goes on.
    pub fn wait_for_job(
        &self,
        job: &str,
        mut seen: impl FnMut(&JobView),
    ) -> Result<JobView, Error> {
        loop {
            let view = self.job(job)?;
            seen(&view);
            if view.job_status.is_ended() {
                return Ok(view);
            }
            if self.client.interrupt().wait(JOB_POLL) {
                return Err(Error::Interrupted);
            }
        }
    }

    /// Lists rows that a job could not use.
    ///
    /// # Errors
    /// Every [`Error`].
    pub fn rejections(&self, job: &str, top: usize) -> Result<Vec<Value>, Error> {
        let path = format!("/workflows/main/jobs/{}/rejections?top={top}", segment(job));
        Ok(rows_of(self.get(&path)?))
    }
}

/// The route of a job below its instance.
pub(crate) fn job_path(job: &str) -> String {
    format!("/workflows/main/jobs/{}?includeTasks=true", segment(job))
}

/// The rows of an answer: an array, or an object that holds one as `value`.
pub(crate) fn rows_of(answer: Value) -> Vec<Value> {
    match answer {
        Value::Array(rows) => rows,
        Value::Object(mut fields) => match fields.remove("value") {
            Some(Value::Array(rows)) => rows,
            _ => vec![Value::Object(fields)],
        },
        Value::Null => Vec::new(),
        other => vec![other],
    }
}

fn job_of(answer: Value) -> Result<JobView, Error> {
    serde_json::from_value(answer).map_err(|error| Error::Unreadable {
        url: "the server".to_owned(),
        shown: format!("a job: {error}"),
    })
}

fn text_at(answer: &Value, field: &str) -> Result<String, Error> {
    let text = answer.get(field).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| Error::Unreadable {
        url: "the server".to_owned(),
        shown: format!("an answer without {field}"),
    })
}
