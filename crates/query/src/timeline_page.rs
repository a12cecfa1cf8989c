//! One customer's timeline with its own filters, page by page (rules 5.1).
//! Owns its options, the JSON of an entry and the links. Must not decide what is shown.

use sanntid_engine::{TimelineEntry, TimelineQuery, profile, timeline};
use sanntid_types::{ActivityId, Error, ErrorCode, Instant, ProfileId, Result, UnifiedActivity};

use crate::json::Object;
use crate::link;
use crate::message::{invalid, shown};
use crate::moment::{Limits, Moment};
use crate::token::{Fingerprint, Token};
use crate::unified::push_activity;

const ROWS_DEFAULT: u64 = 50;
const ROWS_MAX: u64 = 1000;
const TOKEN: &str = "skipToken";

/// Says which part of a timeline to answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimelineParams {
    /// Exactly this type, in any case.
    pub activity_type: Option<String>,
    /// Inclusive.
    pub from: Option<Instant>,
    /// Inclusive.
    pub to: Option<Instant>,
    /// Entries of one page, 1 to 1,000; 50 where it is not given.
    pub top: Option<u64>,
    /// From the link of the page before.
    pub skip_token: Option<String>,
}

/// Holds one page of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// `{"value": […], "nextLink": … | null}`.
    pub json: String,
    /// The profile acted on: another than asked for where that was moved.
    pub id: ProfileId,
}

impl TimelineParams {
    /// Reads `type`, `from`, `to`, `top` and `skipToken`, decoded, each once; others are
    /// `InvalidArgument` with the option as target.
    ///
    /// In a time, a space where the offset's `+` belongs is read as `+`.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self> {
        let mut params = Self::default();
        for (name, value) in pairs {
            let twice = match name.as_str() {
                "type" => params.activity_type.replace(value.clone()).is_some(),
                "from" => params.from.replace(time(name, value)?).is_some(),
                "to" => params.to.replace(time(name, value)?).is_some(),
                "top" => params.top.replace(rows(value)?).is_some(),
                TOKEN => params.skip_token.replace(value.clone()).is_some(),
                _ => {
                    let message = format!(
                        "unknown query option {}: expected type, from, to, top or {TOKEN}",
                        shown(name)
                    );
                    return Err(invalid(name, message));
                }
            };
            if twice {
                let message = format!("{name} is given twice, expected once");
                return Err(invalid(name, message));
            }
        }
        Ok(params)
    }

    fn push_to(&self, link: &mut String) {
        let times = [("from", self.from), ("to", self.to)];
        if let Some(activity_type) = &self.activity_type {
            link::push_pair(link, "type", activity_type);
        }
        for (name, time) in times {
            if let Some(time) = time {
                link::push_pair(link, name, &time.to_string());
            }
        }
        if let Some(top) = self.top {
            link::push_pair(link, "top", &top.to_string());
        }
    }

    /// What the pages of one timeline have in common.
    fn fingerprint(&self, moment: &Moment<'_>, id: &ProfileId) -> Fingerprint {
        let mut filters = String::new();
        Self {
            top: None,
            ..self.clone()
        }
        .push_to(&mut filters);
        let instance = moment.tenant.instance.to_string();
        Fingerprint::new(["timeline", &instance, id.as_str(), &filters])
    }
}

/// Answers a page of the timeline of the profile that `id` names now; `None` where there is none.
///
/// `base_url` is the absolute URL of the timeline of `id`; links to a moved profile name the new
/// one. A type that is so rare that more than `limits.scan_rows_max` entries would be read for one
/// page is `FilterNeedsIndex`.
pub fn timeline_page(
    moment: &Moment<'_>,
    base_url: &str,
    id: &ProfileId,
    params: &TimelineParams,
    limits: &Limits,
) -> Result<Option<Page>> {
    let top = params.top.unwrap_or(ROWS_DEFAULT);
    if !(1..=ROWS_MAX).contains(&top) {
        return Err(no_rows(&top.to_string()));
    }
    let after = match &params.skip_token {
        Some(text) => {
            let query = params.fingerprint(moment, id);
            Some(Token::<(Instant, ActivityId)>::decode(text, &query, TOKEN)?.key)
        }
        None => None,
    };
    let Some(found) = profile(moment.view, moment.tenant, moment.now, id)? else {
        return Ok(None);
    };
    let base_url = if found.id == *id {
        base_url.to_owned()
    } else {
        moved_url(base_url, &found.id)
    };
    let part = part(moment, &base_url, &found.id, params, after, limits)?;
    let mut json = String::new();
    let mut object = Object::open(&mut json);
    part.push_members(&mut object, &found.id);
    object.close();
    Ok(Some(Page { json, id: found.id }))
}

/// Holds the entries of a page, and the link to those behind it where there are any.
pub(crate) struct Part {
    entries: Vec<TimelineEntry>,
    next_link: Option<String>,
}

/// Reads one page of the timeline of `id`, which exists; `base_url` is the URL of that timeline.
pub(crate) fn part(
    moment: &Moment<'_>,
    base_url: &str,
    id: &ProfileId,
    params: &TimelineParams,
    after: Option<(Instant, ActivityId)>,
    limits: &Limits,
) -> Result<Part> {
    let query = TimelineQuery {
        from: params.from.unwrap_or(Instant::MIN),
        until: params.to.unwrap_or(Instant::MAX),
        after,
    };
    let top = usize::try_from(params.top.unwrap_or(ROWS_DEFAULT)).unwrap_or(usize::MAX);
    let (mut entries, mut visited, mut more) = (Vec::<TimelineEntry>::new(), 0, false);
    for entry in timeline(moment.view, moment.tenant, moment.now, id, query)? {
        let entry = entry?;
        visited += 1;
        if visited > limits.scan_rows_max {
            return Err(too_far(limits));
        }
        let wanted = params.activity_type.as_deref();
        if wanted.is_some_and(|wanted| !same_type(&entry.activity.activity_type, wanted)) {
            continue;
        }
        more = entries.len() == top;
        if more {
            break;
        }
        entries.push(entry);
    }
    let last = entries.last().filter(|_| more);
    let next_link = last.map(|last| next_link(moment, base_url, id, params, &last.activity));
    Ok(Part {
        next_link: next_link.transpose()?,
        entries,
    })
}

impl Part {
    /// Appends `value` and `nextLink`; `id` is the profile whose timeline it is.
    pub(crate) fn push_members(&self, object: &mut Object<'_>, id: &ProfileId) {
        object.list("value", &self.entries, |object, entry| {
            push_entry(object, entry, id);
        });
        match &self.next_link {
            Some(link) => object.text("nextLink", link),
            None => object.json("nextLink", "null"),
        }
    }
}

fn next_link(
    moment: &Moment<'_>,
    base_url: &str,
    id: &ProfileId,
    params: &TimelineParams,
    last: &UnifiedActivity,
) -> Result<String> {
    let token = Token {
        values: Vec::new(),
        key: (last.time, last.id.clone()),
        remaining: None,
    };
    let token = token.encode(&params.fingerprint(moment, id))?;
    let mut link = base_url.to_owned();
    params.push_to(&mut link);
    link::push_pair(&mut link, TOKEN, &token);
    Ok(link)
}

fn push_entry(object: &mut Object<'_>, entry: &TimelineEntry, id: &ProfileId) {
    push_activity(object, &entry.activity, Some(id));
    let Some(realtime) = &entry.realtime else {
        object.text("origin", "source");
        return;
    };
    object.text("origin", "realtime");
    object.text("acceptedAt", &realtime.accepted_at.to_string());
    object.text("validUntil", &realtime.expires_at.to_string());
    if let Some(caller) = &realtime.caller {
        object.text("caller", caller.as_str());
    }
}

/// The URL of the timeline of another profile: the last segment but one is the id.
fn moved_url(base_url: &str, id: &ProfileId) -> String {
    let mut segments = base_url.rsplitn(3, '/');
    match (segments.next(), segments.next(), segments.next()) {
        (Some(last), Some(_), Some(front)) => {
            let mut url = format!("{front}/");
            link::push_encoded(&mut url, id.as_str());
            format!("{url}/{last}")
        }
        _ => base_url.to_owned(),
    }
}

fn same_type(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

fn time(name: &str, value: &str) -> Result<Instant> {
    let with_plus = || {
        let (local, offset) = value.rsplit_once(' ')?;
        Instant::parse(&format!("{local}+{offset}"))
    };
    Instant::parse(value).or_else(with_plus).ok_or_else(|| {
        let message = format!(
            "expected a time like 2026-11-23T12:00:00Z, got {}",
            shown(value)
        );
        invalid(name, message)
    })
}

fn rows(value: &str) -> Result<u64> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|_| digits);
    number
        .filter(|rows| (1..=ROWS_MAX).contains(rows))
        .ok_or_else(|| no_rows(value))
}

fn no_rows(value: &str) -> Error {
    let message = format!(
        "expected a whole number from 1 to {ROWS_MAX}, got {}",
        shown(value)
    );
    invalid("top", message)
}

fn too_far(limits: &Limits) -> Error {
    let message = format!(
        "more than {} activities would be read for this page: narrow it with from and to",
        limits.scan_rows_max
    );
    Error::new(ErrorCode::FilterNeedsIndex, message).with_target("type")
}
