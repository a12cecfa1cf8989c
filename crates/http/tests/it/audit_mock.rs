//! The mock's side of audit logs: three records, two to a page, and what was refused.

use sanntid_engine::{Audit, AuditLog, AuditPage, AuditPlace, AuditQuery, Later, RefusedAttempt};
use sanntid_types::{Actor, AuditId, AuditNote, AuditOutcome, AuditRecord, ErrorCode};

use crate::mock::Mock;
use crate::stored::at;

fn record(number: u128, outcome: AuditOutcome, note: AuditNote) -> AuditRecord {
    AuditRecord {
        id: AuditId(uuid::Uuid::from_u128(number)),
        at: at("2026-11-23T12:00:00Z"),
        by: Actor {
            address: Some("192.0.2.1".to_owned()),
            request_id: Some("r1".to_owned()),
            ..Actor::server("rename")
        },
        outcome,
        note,
    }
}

impl Audit for Mock {
    fn records(&self, log: AuditLog, query: AuditQuery) -> Later<'_, AuditPage> {
        let of = match log {
            AuditLog::Server => None,
            AuditLog::Instance(instance) => Some(instance),
        };
        let is_first = query.after.is_none();
        self.audit.lock().unwrap().push((log, query));
        self.answer("audit", of, move || {
            let refused = AuditOutcome::Refused(ErrorCode::Forbidden);
            let about = AuditNote::of("t").with("name", "B");
            let mut records = vec![
                record(3, AuditOutcome::Done, about),
                record(2, refused, AuditNote::default()),
                record(1, AuditOutcome::Done, AuditNote::default()),
            ];
            let last = records.split_off(2);
            let next = records.last().map(|last| AuditPlace {
                at: last.at,
                id: last.id,
            });
            match is_first {
                true => AuditPage { records, next },
                false => AuditPage {
                    records: last,
                    next: None,
                },
            }
        })
    }

    fn refused(&self, attempt: RefusedAttempt) {
        self.refused.lock().unwrap().push(attempt);
    }
}
