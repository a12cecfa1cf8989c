//! Owns refresh schedules: as they are configured, and that what is due starts (rules 6.10).
//!
//! How far a schedule was followed changes in one commit with the job that it starts: a crash
//! neither loses nor doubles one. Must not run a job.

mod times;
mod zones;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use sanntid_engine::CallError;
use sanntid_store::{Kv, catalog};
use sanntid_types::{
    Actor, AuditNote, Error, ErrorCode, InstanceId, Instant, JobKind, JobSubmission, Schedule,
    ScheduleId, ScheduleRecord, Timezone,
};

use crate::{
    node::{Shared, settled_snapshot},
    outcome::refusal,
    refresh,
    tenant::Change,
};

/// Most schedules of an instance.
const SCHEDULES_MAX: usize = 20;
/// Most cron lines of a schedule.
const LINES_MAX: usize = 24;
/// What an audit record names the start of what is due.
const RUN: &str = "run_schedule";
/// Longest cron line, in bytes.
const LINE_BYTES_MAX: usize = 256;

/// What is due next on a node.
pub(crate) struct Schedules(Mutex<State>);

struct State {
    /// When an instance's next schedule is due.
    due: BTreeMap<InstanceId, Instant>,
    /// Instances whose schedules are to be looked at anew.
    changed: BTreeSet<InstanceId>,
}

impl Schedules {
    /// Begins with every instance that has schedules.
    pub(crate) fn recover(kv: &dyn Kv) -> sanntid_store::Result<Self> {
        let snapshot = kv.snapshot()?;
        let mut changed = BTreeSet::new();
        for record in catalog::instances(&*snapshot) {
            let record = record?;
            let mut schedules = catalog::schedules(&*snapshot, record.incarnation);
            if schedules.next().is_some() {
                changed.insert(record.info.id);
            }
        }
        let due = BTreeMap::new();
        Ok(Self(Mutex::new(State { due, changed })))
    }

    /// Notes that an instance's schedules may have changed.
    pub(crate) fn look_again(&self, id: InstanceId) {
        self.0.lock().changed.insert(id);
    }

    /// Takes the instances that are to be looked at.
    fn take(&self, now: Instant) -> BTreeSet<InstanceId> {
        let mut state = self.0.lock();
        let due = state.due.iter().filter(|(_, due)| **due <= now);
        let mut taken: BTreeSet<InstanceId> = due.map(|(id, _)| *id).collect();
        taken.append(&mut state.changed);
        taken
    }

    fn set(&self, id: InstanceId, due: Option<Instant>) {
        let mut state = self.0.lock();
        match due {
            Some(due) => state.due.insert(id, due),
            None => state.due.remove(&id),
        };
    }
}

impl Shared {
    /// Starts what is due; a clock that has jumped starts nothing.
    pub(crate) async fn follow_schedules(self: &Arc<Self>) {
        if !self.clock.is_trusted() {
            return;
        }
        for id in self.schedules.take(self.clock.now()) {
            if let Err(error) = self.follow_schedules_of(id).await {
                self.schedules.look_again(id);
                tracing::debug!(instance_id = %id, ?error, "schedules wait");
            }
        }
    }

    async fn follow_schedules_of(self: &Arc<Self>, id: InstanceId) -> Result<(), CallError> {
        let due = self.aside(move |shared| shared.due_schedules(id)).await?;
        let jobs_max = self.config.jobs_queued_max;
        let now = self.clock.now();
        for (_, schedule) in due.iter().filter(|(due, _)| *due <= now) {
            let schedule = *schedule;
            let follow = move |change: &mut Change<'_>| follow(change, schedule, jobs_max);
            self.change(id, follow).await?;
        }
        let due = self.aside(move |shared| shared.due_schedules(id)).await?;
        self.schedules
            .set(id, due.iter().map(|(due, _)| *due).min());
        Ok(())
    }

    /// When the schedules of an instance are due; none where there is no such instance.
    fn due_schedules(&self, id: InstanceId) -> Result<Vec<(Instant, ScheduleId)>, CallError> {
        let read = || -> sanntid_store::Result<_> {
            let snapshot = settled_snapshot(&*self.kv)?;
            let Some(instance) = catalog::instance(&*snapshot, id)? else {
                return Ok(Vec::new());
            };
            let mut all = Vec::new();
            for record in catalog::schedules(&*snapshot, instance.incarnation) {
                let record = record?;
                all.extend(due(&record).map(|due| (due, record.schedule.id)));
            }
            Ok(all)
        };
        Ok(read().map_err(|error| refusal(&error))?)
    }

    /// The schedules of an instance in the order of their ids.
    pub(crate) fn list_schedules(&self, id: InstanceId) -> Result<Vec<Schedule>, CallError> {
        let incarnation = self.record_of(id)?.incarnation;
        let read = || -> sanntid_store::Result<Vec<Schedule>> {
            let snapshot = self.kv.snapshot()?;
            let records = catalog::schedules(&*snapshot, incarnation);
            records.map(|record| Ok(record?.schedule)).collect()
        };
        Ok(read().map_err(|error| refusal(&error))?)
    }

    /// Makes or replaces schedules, all or none; others stay.
    pub(crate) async fn put_schedules(
        self: &Arc<Self>,
        id: InstanceId,
        schedules: Vec<Schedule>,
        by: Actor,
    ) -> Result<Vec<Schedule>, CallError> {
        schedules.iter().try_for_each(check)?;
        self.change(id, move |change| {
            let incarnation = change.state.incarnation;
            let mut ids = BTreeSet::new();
            for record in catalog::schedules(change.snapshot, incarnation) {
                ids.insert(record.map_err(|error| refusal(&error))?.schedule.id);
            }
            ids.extend(schedules.iter().map(|schedule| schedule.id));
            if ids.len() > SCHEDULES_MAX {
                let text = format!("an instance has {SCHEDULES_MAX} schedules at most");
                return Err(invalid("scheduleId", text));
            }
            for schedule in &schedules {
                let kind = JobKind::Refresh(schedule.request.clone());
                refresh::check_request(change, &kind).map_err(bad_field)?;
                let before = catalog::schedule(change.snapshot, incarnation, schedule.id);
                let before = before.map_err(|error| refusal(&error))?;
                if before.is_some_and(|before| before.schedule == *schedule) {
                    // What is due of it already stays due.
                    continue;
                }
                let record = ScheduleRecord {
                    schedule: schedule.clone(),
                    followed_through: change.now,
                };
                catalog::put_schedule(&mut change.batch, incarnation, &record);
            }
            change.has_new_schedule = true;
            change.note(by, noted(&schedules))?;
            Ok(schedules)
        })
        .await
    }

    /// Forgets a schedule; a job that it has started goes on.
    pub(crate) async fn delete_schedule(
        self: &Arc<Self>,
        id: InstanceId,
        schedule: ScheduleId,
        by: Actor,
    ) -> Result<(), CallError> {
        self.change(id, move |change| {
            let incarnation = change.state.incarnation;
            let found = catalog::schedule(change.snapshot, incarnation, schedule);
            if found.map_err(|error| refusal(&error))?.is_none() {
                let text = format!("there is no schedule {schedule}");
                let error = Error::new(ErrorCode::ScheduleNotFound, text);
                return Err(error.with_target("scheduleId"));
            }
            catalog::remove_schedule(&mut change.batch, incarnation, schedule);
            change.note(by, AuditNote::of(schedule))?;
            change.has_new_schedule = true;
            Ok(())
        })
        .await
    }

    /// The time zones that a schedule can have.
    pub(crate) fn list_timezones(&self, id: InstanceId) -> Result<Vec<Timezone>, CallError> {
        self.record_of(id)?;
        Ok(zones::all())
    }
}

/// What a record says of schedules that were made or replaced.
fn noted(schedules: &[Schedule]) -> AuditNote {
    let ids = schedules.iter().map(|schedule| schedule.id.to_string());
    let ids = ids.collect::<Vec<_>>().join(", ");
    match schedules {
        [one] => AuditNote::of(ids)
            .with("isActive", one.is_active)
            .with("timezoneId", &one.timezone_id)
            .with("cronSchedules", one.cron_schedules.join(", ")),
        [] | [_, _, ..] => AuditNote::default()
            .with("count", schedules.len())
            .with("scheduleIds", ids),
    }
}

/// Starts the job of a schedule that is due. However often it was due, it starts one.
fn follow(change: &mut Change<'_>, id: ScheduleId, jobs_max: usize) -> Result<(), Error> {
    let incarnation = change.state.incarnation;
    let found = catalog::schedule(change.snapshot, incarnation, id);
    let found = found.map_err(|error| refusal(&error))?;
    let Some(mut record) = found.filter(|record| due(record).is_some_and(|due| due <= change.now))
    else {
        return Ok(());
    };
    record.followed_through = change.now;
    catalog::put_schedule(&mut change.batch, incarnation, &record);
    let kind = JobKind::Refresh(record.schedule.request);
    if let Err(error) = refresh::check_request(change, &kind) {
        tracing::warn!(instance_id = %change.state.instance, schedule = %id, %error, "a schedule starts nothing");
        return change.note_refused(Actor::server(RUN), error.code, AuditNote::of(id));
    }
    let mut job = refresh::new_job(change, kind, jobs_max)?;
    change.note(Actor::server(RUN), AuditNote::of(id).with("job", job.id))?;
    let known = catalog::job(change.snapshot, incarnation, job.id);
    if known.map_err(|error| refusal(&error))?.is_none() {
        job.submission = JobSubmission::Scheduled;
        catalog::put_job(&mut change.batch, incarnation, &job);
    }
    Ok(())
}

/// When a schedule is due next; it may be past.
fn due(record: &ScheduleRecord) -> Option<Instant> {
    let schedule = &record.schedule;
    if !schedule.is_active {
        return None;
    }
    // What is stored was readable when it was stored; a zone may have gone with a later table.
    let zone = zones::find(&schedule.timezone_id)?;
    let lines = schedule.cron_schedules.iter();
    lines
        .filter_map(|line| {
            times::next_run(&times::parse(line).ok()?, zone, record.followed_through)
        })
        .min()
}

/// Checks zone and lines.
fn check(schedule: &Schedule) -> Result<(), Error> {
    if zones::find(&schedule.timezone_id).is_none() {
        let text =
            "the time zone is unknown; expected an IANA or a Windows name, see supportedTimezones";
        return Err(invalid("timezoneId", text.to_owned()));
    }
    let count = schedule.cron_schedules.len();
    if !(1..=LINES_MAX).contains(&count) {
        let text = format!("a schedule has 1 to {LINES_MAX} cron lines, not {count}");
        return Err(invalid("cronSchedules", text));
    }
    for (index, line) in schedule.cron_schedules.iter().enumerate() {
        let read = match line.len() > LINE_BYTES_MAX {
            true => Err(format!("it has more than {LINE_BYTES_MAX} bytes")),
            false => times::parse(line).map(drop),
        };
        read.map_err(|why| invalid(&format!("cronSchedules[{index}]"), why))?;
    }
    Ok(())
}

fn invalid(target: &str, text: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, text).with_target(target)
}

/// In a schedule an id that nobody has is a bad field; a job that names it has nothing to look for.
fn bad_field(error: Error) -> Error {
    let is_unknown = error.code == ErrorCode::DataSourceNotFound;
    let code = if is_unknown {
        ErrorCode::InvalidArgument
    } else {
        error.code
    };
    Error { code, ..error }
}
