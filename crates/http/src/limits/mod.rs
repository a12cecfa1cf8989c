//! How much each instance, caller and profile may ask for, and what becomes of whoever asks for more.
//! Owns the place where requests are counted; what is kept is counted where it is kept. Must not
//! read a body, nor let one instance's use be felt by another.

mod attempts;
mod buckets;
mod fields;
pub(crate) mod manage;
mod paced;
mod ticks;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use actix_web::http::{Method, Version};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest};
use bytes::Bytes;
use parking_lot::RwLock;
use sanntid_engine::WriteCall;
use sanntid_types::{
    Clock, Error, ErrorCode, InstanceAccess, InstanceId, LimitKind, LimitName, Limits, ProfileId,
};

use self::attempts::Attempts;
use self::buckets::{Buckets, Left, PIECE, UnderWay};
use self::fields::Fields;
use self::paced::Paced;
use self::ticks::Ticks;
use crate::authorize::Needs;
use crate::caller::Caller;
use crate::error::Failure;
use crate::observe::Operations;
use crate::server::Shared;

/// Requests that are let in before instances that nobody calls are forgotten.
const REQUESTS_BEFORE_TIDYING: u64 = 16 * 1024;
/// The same, in instances that were not known.
const INSTANCES_BEFORE_TIDYING: usize = 1024;
/// How long nobody must have called an instance for that, in milliseconds: all buckets are full then.
const IDLE_MILLIS: u64 = 10_000;
/// How long to wait where an instance is full: what has ended is counted anew about as often.
const RETRY_WHEN_FULL_SECS: u32 = 60;

/// Counts what is asked for.
pub(crate) struct Limiter {
    defaults: Limits,
    ticks: Ticks,
    /// Only of instances that exist.
    instances: RwLock<HashMap<InstanceId, Arc<Buckets>>>,
    attempts: Attempts,
    admitted: AtomicU64,
    hasher: RandomState,
}

impl Limiter {
    pub(crate) fn new(defaults: Limits, clock: Arc<dyn Clock>) -> Self {
        let ticks = Ticks::new(clock);
        Self {
            attempts: Attempts::new(defaults.failed_attempts_per_second, &ticks),
            instances: RwLock::default(),
            admitted: AtomicU64::new(0),
            hasher: RandomState::new(),
            defaults,
            ticks,
        }
    }

    /// What the server is configured with.
    fn defaults(&self) -> Limits {
        self.defaults
    }

    /// The buckets of an instance as its limits are now; new ones where they were changed.
    fn of(&self, instance: InstanceId, access: &InstanceAccess) -> Arc<Buckets> {
        let known = self.instances.read().get(&instance).cloned();
        if let Some(known) = known.filter(|known| known.own == access.limits) {
            return known;
        }
        let mut all = self.instances.write();
        let before = all.get(&instance);
        if let Some(known) = before.filter(|known| known.own == access.limits) {
            return Arc::clone(known);
        }
        let limits = self.defaults.with(&access.limits);
        let own = access.limits.clone();
        let before = before.map(Arc::as_ref);
        let made = Arc::new(Buckets::new(limits, own, before, &self.ticks));
        if all.len() % INSTANCES_BEFORE_TIDYING == INSTANCES_BEFORE_TIDYING - 1 {
            self.forget_idle(&mut all);
        }
        all.insert(instance, Arc::clone(&made));
        made
    }

    /// The same for the same caller of an instance.
    fn key_of(&self, caller: &Caller) -> u64 {
        match caller {
            Caller::Operator => self.hasher.hash_one("operator"),
            Caller::Key(key) => self.hasher.hash_one(("key", key.slot)),
            Caller::Principal(one) => self.hasher.hash_one((one.kind, &one.id)),
        }
    }

    fn buckets(&self, shared: &Shared, instance: InstanceId) -> Option<Arc<Buckets>> {
        // Whoever can't be told from an instance that is gone finds out elsewhere.
        let access = shared.access_of(instance).ok()??;
        Some(self.of(instance, &access))
    }

    fn tidy_now_and_then(&self) {
        let admitted = self.admitted.fetch_add(1, Ordering::Relaxed);
        if admitted % REQUESTS_BEFORE_TIDYING == REQUESTS_BEFORE_TIDYING - 1 {
            self.forget_idle(&mut self.instances.write());
        }
    }

    fn forget_idle(&self, all: &mut HashMap<InstanceId, Arc<Buckets>>) {
        let idle_since = self.ticks.millis().saturating_sub(IDLE_MILLIS);
        all.retain(|_, buckets| buckets.tidy(idle_since));
    }

    /// Notes a failed attempt to get in; an error where its address had too many.
    pub(crate) fn failed_attempt(&self, peer: Option<SocketAddr>) -> Result<(), Error> {
        self.attempts.failed(peer).inspect_err(count)
    }
}

/// A request that comes to an instance.
struct Coming {
    shared: Data<Shared>,
    instance: InstanceId,
    caller: u64,
    buckets: Arc<Buckets>,
    body: Body,
}

/// What a request says of its body before that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    None,
    /// So short that it is taken as a whole.
    Short(u64),
    Long,
    /// Of a length that nobody knows, perhaps none.
    Unknown,
}

impl Coming {
    /// `None` where nothing is limited: what concerns no instance, what only the server's operator
    /// may do (else nobody could raise a limit that is met), and instances that do not exist.
    fn of(request: &ServiceRequest) -> Option<Self> {
        let instance = InstanceId::parse(request.match_info().get("instanceId")?)?;
        let needs = request
            .app_data::<Operations>()
            .and_then(|operations| operations.needs(request.method()));
        if needs == Some(Needs::Operator) {
            return None;
        }
        let shared = request.app_data::<Data<Shared>>()?.clone();
        let buckets = shared.limits.buckets(&shared, instance)?;
        let extensions = request.extensions();
        let caller = extensions.get::<Caller>()?;
        Some(Self {
            caller: shared.limits.key_of(caller),
            instance,
            buckets,
            body: body_of(request),
            shared,
        })
    }

    /// Counts it, or says which limit is met.
    fn enter(&self, left: &mut Left) -> Result<UnderWay, LimitName> {
        let place = self.buckets.enter()?;
        self.buckets.take_request(self.caller, left)?;
        let bytes = self.body.prepaid();
        let taken = self.buckets.take_bytes(bytes);
        taken.map_err(|_| LimitName::BytesPerSecond)?;
        Ok(place)
    }
}

impl Body {
    /// What is taken before it is read; the rest of it is let in as it comes.
    fn prepaid(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Short(bytes) => bytes,
            Self::Long => PIECE,
            Self::Unknown => 1,
        }
    }
}

fn body_of(request: &ServiceRequest) -> Body {
    let headers = request.headers();
    if let Some(length) = headers.get(CONTENT_LENGTH) {
        let length = length.to_str().ok().and_then(|text| text.parse().ok());
        return match length {
            Some(0) => Body::None,
            Some(bytes) if bytes <= PIECE => Body::Short(bytes),
            Some(_) => Body::Long,
            None => Body::Unknown,
        };
    }
    // From HTTP/2 on a body needs no header at all.
    let has_frames = request.version() >= Version::HTTP_2 && *request.method() != Method::GET;
    if headers.contains_key(TRANSFER_ENCODING) || has_frames {
        return Body::Unknown;
    }
    Body::None
}

/// Lets a request that may be made through to its handler, or refuses it; before its body is read.
pub(crate) async fn admit(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(coming) = Coming::of(&request) else {
        return next.call(request).await;
    };
    coming.shared.limits.tidy_now_and_then();
    let mut left = Left::default();
    let entered = coming.enter(&mut left);
    let policy = coming.buckets.policy.clone();
    request.extensions_mut().insert(Fields { policy, left });
    let place = match entered {
        Ok(place) => place,
        Err(limit) => {
            let error = limit.error(coming.buckets.most(limit));
            count(&error);
            return Ok(request.error_response(Failure::from(error)));
        }
    };
    // What is taken already need not wait.
    if matches!(coming.body, Body::Long | Body::Unknown) {
        let inner = request.take_payload();
        let prepaid = coming.body.prepaid();
        request.set_payload(Payload::Stream {
            payload: Box::pin(Paced {
                inner,
                prepaid,
                instance: coming.instance,
                shared: coming.shared,
                held: None,
                wait: None,
            }),
        });
    }
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| until_written(body, place)))
}

/// Adds what is known of limits to an answer.
pub(crate) fn tell(request: &HttpRequest, headers: &mut HeaderMap) {
    if let Some(fields) = request.extensions_mut().remove::<Fields>() {
        fields.add_to(headers);
    }
}

/// Keeps the place of a request whose answer is still being made while it is sent.
fn until_written(body: BoxBody, place: UnderWay) -> BoxBody {
    match body.size() {
        BodySize::Stream => BoxBody::new(Held {
            body,
            _place: place,
        }),
        BodySize::None | BodySize::Sized(_) => body,
    }
}

struct Held {
    body: BoxBody,
    _place: UnderWay,
}

impl MessageBody for Held {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(context)
    }
}

/// Takes one update of a profile.
pub(crate) fn check_profile(
    shared: &Shared,
    instance: InstanceId,
    profile: &ProfileId,
) -> Result<(), Error> {
    let Some(buckets) = shared.limits.buckets(shared, instance) else {
        return Ok(());
    };
    let profile = shared.limits.hasher.hash_one(profile.as_str());
    let taken = buckets.take_write(profile);
    taken.map_err(|limit| refused(limit, &buckets))
}

/// Checks how many items a batch has, or the number of a line of a bulk request.
pub(crate) fn check_items(shared: &Shared, instance: InstanceId, items: u64) -> Result<(), Error> {
    let Some(buckets) = shared.limits.buckets(shared, instance) else {
        return Ok(());
    };
    let limit = LimitName::BatchItems;
    let most = buckets.most(limit);
    if most == 0 || items <= most {
        return Ok(());
    }
    Err(refused(limit, &buckets))
}

/// Takes what a line of a bulk request asks for.
pub(crate) fn check_line(
    shared: &Shared,
    instance: InstanceId,
    call: &WriteCall,
) -> Result<(), Error> {
    match call {
        WriteCall::Patch(call) => check_profile(shared, instance, &call.profile),
        WriteCall::Append(_) => Ok(()),
    }
}

fn refused(limit: LimitName, buckets: &Buckets) -> Error {
    let error = limit.error(buckets.most(limit));
    count(&error);
    error
}

/// Counts a refusal, whosever it is.
fn count(error: &Error) {
    if let Some(limit) = named(error) {
        metrics::counter!("sanntid_limits_met_total", "limit" => limit.name()).increment(1);
    }
}

fn named(error: &Error) -> Option<LimitName> {
    LimitName::parse(error.target.as_deref()?)
}

/// After how many seconds a limit that is met is there again; `None` for any other error.
pub(crate) fn retry_after(error: &Error) -> Option<u32> {
    if error.code != ErrorCode::LimitExceeded {
        return None;
    }
    Some(match named(error)?.kind() {
        LimitKind::Rate | LimitKind::Size => 1,
        LimitKind::Stored => RETRY_WHEN_FULL_SECS,
    })
}

/// The limit that a request is too large for by itself; waiting does not help it.
pub(crate) fn size_limit(error: &Error) -> Option<&'static str> {
    if error.code != ErrorCode::BodyTooLarge {
        return None;
    }
    let limit = named(error).filter(|limit| limit.kind() == LimitKind::Size)?;
    Some(limit.name())
}

#[cfg(test)]
mod tests;
