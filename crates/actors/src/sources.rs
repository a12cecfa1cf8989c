//! Owns data sources as they are configured, and the places where they may lie.
//!
//! A record changes with its tenant only. Must not read what is in a folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sanntid_engine::CallError;
use sanntid_store::catalog;
use sanntid_types::{
    Actor, AuditNote, DataSource, DataSourceId, DataSourceSpec, Error, ErrorCode, InstanceId,
    JobKind, JobStatus, Location, Origin, SourceRefresh, SourceState,
};

use crate::{node::Shared, outcome::refusal, refresh::within};

/// The setting that says where data sources may lie.
const FOLDERS: &str = "actors.data_source_folders";
/// How long the place of a data source may take to answer whoever configures it.
const LOOK_MAX: Duration = Duration::from_secs(5);

impl Shared {
    /// The data sources of an instance, each with what is known of it.
    pub(crate) fn list_data_sources(
        &self,
        id: InstanceId,
    ) -> Result<Vec<(DataSource, SourceState)>, CallError> {
        let incarnation = self.record_of(id)?.incarnation;
        let list = || -> sanntid_store::Result<_> {
            let snapshot = self.kv.snapshot()?;
            let mut running = None;
            for job in catalog::active_jobs_of(&*snapshot, incarnation)? {
                match catalog::job(&*snapshot, incarnation, job)? {
                    Some(job) if job.status == JobStatus::Running => running = Some(job.kind),
                    Some(_) | None => {}
                }
            }
            let mut list = Vec::new();
            for source in catalog::data_sources(&*snapshot, incarnation) {
                let source = source?;
                let mut state = catalog::source_state(&*snapshot, incarnation, &source)?;
                if let Some(JobKind::Refresh(request)) = &running
                    && request.covers(source.id)
                {
                    state.refresh = SourceRefresh::Updating;
                }
                list.push((source, state));
            }
            Ok(list)
        };
        Ok(list().map_err(|error| refusal(&error))?)
    }

    /// Makes or replaces a data source; what is known of its content stays while its place does.
    pub(crate) async fn put_data_source(
        self: &Arc<Self>,
        id: InstanceId,
        spec: DataSourceSpec,
        by: Actor,
    ) -> Result<(DataSource, SourceState), CallError> {
        self.check_location(&spec).await?;
        let sources_max = self.config.data_sources_max;
        self.change(id, move |change| {
            let incarnation = change.state.incarnation;
            let mut others = 0;
            let mut before = None;
            for source in catalog::data_sources(change.snapshot, incarnation) {
                let source = source.map_err(|error| refusal(&error))?;
                if source.id == spec.id {
                    before = Some(source);
                } else {
                    others += 1;
                }
            }
            if others >= sources_max {
                let text = format!("there are {others} data sources; delete one first");
                return Err(Error::new(ErrorCode::Overloaded, text).with_target("dataSourcesMax"));
            }
            let mut source = DataSource {
                id: spec.id,
                revision: uuid::Uuid::new_v4(),
                friendly_name: spec.friendly_name,
                location: spec.location,
                credentials: spec.credentials,
                version: 1,
                created_at: change.now,
                created_by: by.name.clone(),
                updated_at: change.now,
                updated_by: by.name.clone(),
            };
            change.note(by, noted(&source))?;
            if let Some(before) = before {
                if before.location == source.location && before.credentials == source.credentials {
                    source.revision = before.revision;
                }
                source.version = before.version + 1;
                source.created_at = before.created_at;
                source.created_by = before.created_by;
            }
            let state = catalog::source_state(change.snapshot, incarnation, &source);
            let state = state.map_err(|error| refusal(&error))?;
            catalog::put_data_source(&mut change.batch, incarnation, &source);
            Ok((source, state))
        })
        .await
    }

    /// Refuses a place that data sources may not lie in, or that does not answer: a record that was
    /// never checked would fail its jobs only.
    async fn check_location(self: &Arc<Self>, spec: &DataSourceSpec) -> Result<(), CallError> {
        let (location, credentials) = (spec.location.clone(), spec.credentials.clone());
        if location.bucket().is_some() {
            let check = move |shared: &Arc<Self>| match location.bucket() {
                Some(bucket) => Ok(shared.check_bucket(bucket, credentials.as_deref())?),
                None => Ok(()),
            };
            return self.aside(check).await;
        }
        let folders = self.config.data_source_folders.clone();
        let look = move || real_folder(&location, &folders).map(drop);
        let of = (LOOK_MAX, format!("the data source {}", spec.id));
        match within(&self.refreshes.left_behind, of, look).await? {
            Some(answer) => Ok(answer?),
            None => {
                let text = format!(
                    "the location did not answer within {LOOK_MAX:?}; is the network's folder that \
                     it lies in reachable from the server? nothing was changed"
                );
                Err(Error::new(ErrorCode::Overloaded, text)
                    .with_target("location")
                    .into())
            }
        }
    }

    /// Forgets a data source. What it brought stays and belongs to nobody, until a refresh or an
    /// upload brings it.
    pub(crate) async fn delete_data_source(
        self: &Arc<Self>,
        id: InstanceId,
        source: DataSourceId,
        by: Actor,
    ) -> Result<(), CallError> {
        self.change(id, move |change| {
            let incarnation = change.state.incarnation;
            let found = catalog::data_source(change.snapshot, incarnation, source);
            if found.map_err(|error| refusal(&error))?.is_none() {
                let text = format!("there is no data source {source}");
                let error = Error::new(ErrorCode::DataSourceNotFound, text);
                return Err(error.with_target(source.to_string()));
            }
            catalog::remove_data_source(&mut change.batch, incarnation, source);
            change.note(by, AuditNote::of(source))?;
            let stays = |origin: &Origin| *origin != Origin::Source(source);
            change.state.origins.retain(|_, origin| stays(origin));
            Ok(())
        })
        .await
    }
}

/// What a record says of a data source; of what it is read with, the name.
fn noted(source: &DataSource) -> AuditNote {
    let note = AuditNote::of(source.id)
        .with("friendlyName", &source.friendly_name)
        .with("location", &source.location);
    match &source.credentials {
        Some(name) => note.with("credentials", name),
        None => note,
    }
}

/// Where a location really is: without symbolic links, and within a folder that is allowed.
///
/// # Errors
/// `InvalidArgument`: no folder is allowed, the location lies in none, or it is no folder. Whether
/// there is anything outside of the allowed folders does not show.
pub(crate) fn real_folder(location: &Location, allowed: &[PathBuf]) -> Result<PathBuf, Error> {
    let refuse =
        |text: String| Err(Error::new(ErrorCode::InvalidArgument, text).with_target("location"));
    if allowed.is_empty() {
        return refuse(format!(
            "this server reads no data sources: its configuration names no folders for them \
             ({FOLDERS})"
        ));
    }
    let outside = || {
        refuse(format!(
            "the location is in none of the folders that the configuration allows ({FOLDERS})"
        ))
    };
    // Looked at only where its own spelling is within: elsewhere even its absence is a secret.
    let Some(folder) = location.folder() else {
        return refuse("the location is no folder".to_owned());
    };
    let mut allowed: Vec<&PathBuf> = allowed.iter().collect();
    // Those that it names come first: another one may lie where nobody answers.
    allowed.sort_by_key(|outer| !folder.starts_with(outer));
    let is_named = allowed.iter().any(|outer| folder.starts_with(outer));
    let is_within = |path: &Path| {
        let mut real = allowed.iter().flat_map(fs::canonicalize);
        real.any(|outer| path.starts_with(outer))
    };
    if !is_named && !is_within(folder) {
        return outside();
    }
    match fs::canonicalize(folder) {
        Ok(path) if !is_within(&path) => outside(),
        Ok(path) if path.is_dir() => Ok(path),
        Ok(_) => refuse("the location is no folder".to_owned()),
        Err(error) => refuse(format!("the location can't be read: {}", error.kind())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_location_lies_really_within_an_allowed_folder() {
        let root = tempfile::tempdir().unwrap();
        let (allowed, other) = (root.path().join("in"), root.path().join("other"));
        fs::create_dir_all(allowed.join("a")).unwrap();
        fs::create_dir_all(&other).unwrap();
        fs::write(allowed.join("file"), "").unwrap();
        symlink(&other, allowed.join("out")).unwrap();
        symlink(allowed.join("a"), allowed.join("link")).unwrap();
        let real = |path: &Path, allowed: &[PathBuf]| {
            let location = Location::parse(&format!("file://{}", path.display())).unwrap();
            real_folder(&location, allowed).map_err(|error| error.message)
        };
        let folders = [allowed.clone()];
        assert!(real(&allowed, &folders).is_ok());
        assert!(real(&allowed.join("a"), &folders).is_ok());
        assert!(real(&allowed.join("link"), &folders).is_ok());
        for (path, why) in [
            (allowed.join("out"), "in none of the folders"),
            (allowed.join("missing"), "can't be read"),
            (allowed.join("file"), "is no folder"),
            (other, "in none of the folders"),
            (root.path().join("in2"), "in none of the folders"),
        ] {
            let message = real(&path, &folders).expect_err(why);
            assert!(message.contains(why), "{message}");
        }
        let none = real(&allowed, &[]).expect_err("none");
        assert!(none.contains(FOLDERS), "{none}");
    }
}
