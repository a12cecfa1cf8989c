//! Owns audit logs: a record is committed in one batch with what it says was done.
//!
//! A refused attempt changes nothing, so that its record may come a moment later; where there are
//! too many of one log, they are counted instead. Must not hold up whoever refuses.

mod attempts;

use sanntid_engine::{
    Audit, AuditLog, AuditPage, AuditPlace, AuditQuery, CallError, Later, RefusedAttempt,
};
use sanntid_store::{
    AuditLimits, Snapshot, WriteBatch,
    catalog::{self, AuditLogNumber, AuditRange},
};
use sanntid_types::{
    Actor, AuditId, AuditNote, AuditOutcome, AuditRecord, Error, ErrorCode, Instant, Settings,
};
use uuid::Uuid;

pub(crate) use self::attempts::{Attempts, note_attempts};
use crate::{
    node::{Node, Shared, not_found},
    outcome::{call_error, refusal},
    tenant::Change,
};

/// Records that one page looks at, whether they are wanted or not.
const LOOKED_AT_MAX: usize = 10_000;

/// Adds a record of what is done with the rest of the batch.
pub(crate) fn done(
    batch: &mut WriteBatch,
    log: AuditLogNumber,
    at: Instant,
    by: Actor,
    note: AuditNote,
) {
    done_in(batch, [log], at, by, note);
}

/// Adds the same record to several logs.
pub(crate) fn done_in<const LOGS: usize>(
    batch: &mut WriteBatch,
    logs: [AuditLogNumber; LOGS],
    at: Instant,
    by: Actor,
    note: AuditNote,
) {
    let record = record(at, by, (AuditOutcome::Done, note));
    for log in logs {
        catalog::put_audit(batch, log, &record);
    }
}

fn put(
    batch: &mut WriteBatch,
    log: AuditLogNumber,
    at: Instant,
    by: Actor,
    what: (AuditOutcome, AuditNote),
) {
    catalog::put_audit(batch, log, &record(at, by, what));
}

fn record(at: Instant, by: Actor, (outcome, note): (AuditOutcome, AuditNote)) -> AuditRecord {
    AuditRecord {
        id: AuditId(Uuid::now_v7()),
        at,
        by,
        outcome,
        note,
    }
}

/// What a record says of settings: those that are others than before, as they are called on the wire.
pub(crate) fn noted(before: &Settings, after: &Settings) -> AuditNote {
    let shown = |settings: &Settings| {
        let clears = format!("{:?}", settings.refresh_clears).to_lowercase();
        let seconds = |span: std::time::Duration| format!("{}s", span.as_secs());
        [
            ("refreshClears", clears),
            (
                "asOfMarginSecs",
                settings.as_of_margin.as_secs().to_string(),
            ),
            ("profileTtlDefault", seconds(settings.profile_ttl_default)),
            ("activityTtlDefault", seconds(settings.activity_ttl_default)),
            (
                "rowsRejectedMaxPercent",
                settings.rows_rejected_max_percent.to_string(),
            ),
        ]
    };
    let pairs = shown(before).into_iter().zip(shown(after));
    let changed = pairs.filter(|(before, after)| before != after);
    changed.fold(AuditNote::default(), |note, (_, (name, value))| {
        note.with(name, value)
    })
}

impl Change<'_> {
    /// Has a record of this change committed with it, even where it changes nothing.
    pub(crate) fn note(&mut self, by: Actor, note: AuditNote) -> Result<(), Error> {
        self.put_record(by, (AuditOutcome::Done, note))
    }

    /// Has a record committed of something that this change does not do.
    pub(crate) fn note_refused(
        &mut self,
        by: Actor,
        code: ErrorCode,
        note: AuditNote,
    ) -> Result<(), Error> {
        self.put_record(by, (AuditOutcome::Refused(code), note))
    }

    fn put_record(&mut self, by: Actor, what: (AuditOutcome, AuditNote)) -> Result<(), Error> {
        let log = log_of(self.snapshot, AuditLog::Instance(self.state.instance))?;
        put(&mut self.batch, log, self.now, by, what);
        Ok(())
    }
}

/// Finds the number of a log.
fn log_of(snapshot: &dyn Snapshot, log: AuditLog) -> Result<AuditLogNumber, Error> {
    match log {
        AuditLog::Server => Ok(AuditLogNumber::SERVER),
        AuditLog::Instance(id) => {
            let record = catalog::instance(snapshot, id).map_err(|error| refusal(&error))?;
            let record = record.ok_or_else(|| not_found(id))?;
            Ok(AuditLogNumber::of(&record))
        }
    }
}

impl Audit for Node {
    fn records(&self, log: AuditLog, query: AuditQuery) -> Later<'_, AuditPage> {
        Box::pin(
            self.shared
                .aside(move |shared| shared.read_audit(log, &query)),
        )
    }

    fn refused(&self, attempt: RefusedAttempt) {
        if let AuditLog::Instance(id) = attempt.log
            && !matches!(self.shared.access_of(id), Ok(Some(_)))
        {
            return;
        }
        self.shared.attempts.take(attempt, self.shared.clock.now());
    }
}

impl Shared {
    fn read_audit(&self, log: AuditLog, query: &AuditQuery) -> Result<AuditPage, CallError> {
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        let log = log_of(&*snapshot, log)?;
        let range = AuditRange {
            from: query.from,
            to: query.to,
            after: query.after.map(|place| (place.at, place.id)),
            is_done: query.is_done,
        };
        let is_wanted = |record: &AuditRecord| {
            let of = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|w| w == is);
            of(&query.actor, &record.by.name) && of(&query.action, &record.by.operation)
        };
        let mut page = AuditPage::default();
        let mut last = None;
        for (looked_at, record) in catalog::audit(&*snapshot, log, &range).enumerate() {
            let record = record.map_err(|error| refusal(&error))?;
            if page.records.len() == query.top || looked_at == LOOKED_AT_MAX {
                page.next = last;
                break;
            }
            last = Some(AuditPlace {
                at: record.at,
                id: record.id,
            });
            if is_wanted(&record) {
                page.records.push(record);
            }
        }
        Ok(page)
    }

    /// Notes something that is done outside of the store, before it is.
    pub(crate) fn note_of_server(&self, by: Actor) -> Result<(), CallError> {
        let (now, mut batch) = (self.clock.now(), WriteBatch::new());
        done(
            &mut batch,
            AuditLogNumber::SERVER,
            now,
            by,
            AuditNote::default(),
        );
        self.kv.commit(batch).map_err(|error| call_error(&error))
    }

    /// Removes old records, in rounds of which `begins` starts one: where much is due, a round goes
    /// on in the steps of upkeep that come next.
    pub(crate) fn prune_audit(&self, begins: bool) -> sanntid_store::Result<()> {
        let mut pruner = self.audit_pruner.lock();
        let (pruner, has_more) = &mut *pruner;
        if begins || *has_more {
            let limits = AuditLimits {
                oldest: self.clock.now().minus(self.config.audit_kept),
                records_max: self.config.audit_records_max,
            };
            *has_more = pruner.prune(&*self.kv, limits, self.config.sweep_records_max)?;
        }
        Ok(())
    }

    /// Commits the records of refused attempts.
    pub(crate) fn commit_attempts(&self) -> Result<(), CallError> {
        let (waiting, omitted) = self.attempts.due(self.clock.now());
        if waiting.is_empty() && omitted.is_empty() {
            return Ok(());
        }
        // No log ends meanwhile.
        let _one_at_a_time = self.instance_changes.lock();
        let committed = self.put_attempts(&waiting, &omitted);
        if committed.is_err() {
            let lost = waiting.iter().map(|(attempt, _)| (attempt.log, 1));
            self.attempts.were_lost(lost.chain(omitted));
        }
        committed
    }

    fn put_attempts(
        &self,
        waiting: &[(RefusedAttempt, Instant)],
        omitted: &[(AuditLog, u64)],
    ) -> Result<(), CallError> {
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        let (now, mut batch) = (self.clock.now(), WriteBatch::new());
        for (attempt, at) in waiting {
            // Of an instance that is gone there is nothing to tell any more.
            if let Ok(log) = log_of(&*snapshot, attempt.log) {
                let what = (AuditOutcome::Refused(attempt.code), AuditNote::default());
                put(&mut batch, log, *at, attempt.by.clone(), what);
            }
        }
        for (log, count) in omitted {
            if let Ok(log) = log_of(&*snapshot, *log) {
                let what = AuditOutcome::Refused(ErrorCode::Overloaded);
                let note = AuditNote::default().with("count", count);
                put(
                    &mut batch,
                    log,
                    now,
                    Actor::server(attempts::OMIT),
                    (what, note),
                );
            }
        }
        drop(snapshot);
        if batch.is_empty() {
            return Ok(());
        }
        self.kv.commit(batch).map_err(|error| call_error(&error))
    }
}
