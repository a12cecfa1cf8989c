//! The settings of an instance's real-time data. Owns their JSON shape and ranges.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use sanntid_types::{Detail, Error, ErrorCode, RefreshClears, Settings};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::query::Query;
use crate::reply::{Reply, ok};
use crate::request::Instance;
use crate::server::Shared;
use crate::{body, duration};

/// Largest margin: one day.
const AS_OF_MARGIN_SECS_MAX: u64 = 86_400;

/// What an administrator can set per instance. A field that is left out gets its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RealtimeSettings {
    /// `always`: a refresh ends the updates that its source has had the chance to see; `never`: an
    /// update ends at its `validUntil` alone.
    #[schema(value_type = String, example = "always")]
    refresh_clears: RefreshClears,
    /// Subtracted from a refresh's `asOf` before comparing; 0 to 86400.
    #[schema(example = 0)]
    as_of_margin_secs: u64,
    /// How long an update holds without `validUntil`; 1 s to 30 d.
    #[schema(example = "4h")]
    profile_ttl_default: String,
    /// How long an activity shows without `validUntil`; 1 s to 30 d.
    #[schema(example = "30d")]
    activity_ttl_default: String,
    /// Over this share of an entity's rejected rows a refresh fails; 0 to 100.
    #[schema(example = 1.0)]
    rows_rejected_max_percent: f64,
}

impl Default for RealtimeSettings {
    fn default() -> Self {
        Self::from(&Settings::default())
    }
}

impl From<&Settings> for RealtimeSettings {
    fn from(settings: &Settings) -> Self {
        Self {
            refresh_clears: settings.refresh_clears,
            as_of_margin_secs: settings.as_of_margin.as_secs(),
            profile_ttl_default: duration::print(settings.profile_ttl_default),
            activity_ttl_default: duration::print(settings.activity_ttl_default),
            rows_rejected_max_percent: settings.rows_rejected_max_percent,
        }
    }
}

impl RealtimeSettings {
    /// Checks every range, or lists all that is wrong.
    fn check(&self) -> Result<Settings, Error> {
        let mut problems = Vec::new();
        let mut ttl = |field: &str, text: &str| match duration::parse(text) {
            Ok(ttl) if (Duration::from_secs(1)..=Settings::TTL_MAX).contains(&ttl) => ttl,
            Ok(_) => {
                problems.push(problem(
                    field,
                    "a real-time entry lives 1s to 30d".to_owned(),
                ));
                Duration::ZERO
            }
            Err(error) => {
                problems.push(problem(field, error.message));
                Duration::ZERO
            }
        };
        let profile_ttl_default = ttl("profileTtlDefault", &self.profile_ttl_default);
        let activity_ttl_default = ttl("activityTtlDefault", &self.activity_ttl_default);
        if self.as_of_margin_secs > AS_OF_MARGIN_SECS_MAX {
            let text = format!("a margin has 0 to {AS_OF_MARGIN_SECS_MAX} seconds");
            problems.push(problem("asOfMarginSecs", text));
        }
        if !(0.0..=100.0).contains(&self.rows_rejected_max_percent) {
            let text = "a percentage is 0 to 100".to_owned();
            problems.push(problem("rowsRejectedMaxPercent", text));
        }
        if !problems.is_empty() {
            return Err(Error::of_details("the settings are not valid", problems));
        }
        Ok(Settings {
            refresh_clears: self.refresh_clears,
            as_of_margin: Duration::from_secs(self.as_of_margin_secs),
            profile_ttl_default,
            activity_ttl_default,
            rows_rejected_max_percent: self.rows_rejected_max_percent,
        })
    }
}

fn problem(field: &str, text: String) -> Detail {
    Detail::new(ErrorCode::InvalidArgument, field, text)
}

/// Show the real-time settings.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/realtime",
    operation_id = "get_realtime_settings",
    tag = "Configuration",
    responses((status = 200, description = "The settings", body = RealtimeSettings))
)]
pub(crate) async fn get(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let reading = shared.tenants.read(instance.0).await?;
    ok(&RealtimeSettings::from(&reading.tenant.settings))
}

/// Replace the real-time settings.
#[utoipa::path(
    put,
    path = "/instances/{instanceId}/manage/realtime",
    operation_id = "set_realtime_settings",
    tag = "Configuration",
    request_body(
        content = RealtimeSettings,
        example = json!({
            "refreshClears": "always", "asOfMarginSecs": 0, "profileTtlDefault": "4h",
            "activityTtlDefault": "30d", "rowsRejectedMaxPercent": 1.0
        })
    ),
    responses((status = 200, description = "The settings as stored", body = RealtimeSettings))
)]
pub(crate) async fn put(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    query.finish()?;
    let body = body::read_default(&request, payload, &shared).await?;
    let settings = body::parse::<RealtimeSettings>(&body)?.check()?;
    let by = caller.actor(&request);
    let stored = shared.tenants.set_settings(instance.0, settings, by);
    let stored = stored.await?;
    ok(&RealtimeSettings::from(&stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_exact_and_every_problem_is_listed() {
        let read = |text: &str| {
            let settings: RealtimeSettings = serde_json::from_str(text).expect(text);
            settings.check()
        };
        assert_eq!(read("{}"), Ok(Settings::default()));
        for good in [
            r#"{"profileTtlDefault": "1s", "activityTtlDefault": "30d"}"#,
            r#"{"asOfMarginSecs": 86400, "rowsRejectedMaxPercent": 100}"#,
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in [
            r#"{"profileTtlDefault": "0s"}"#,
            r#"{"activityTtlDefault": "30d1s"}"#,
            r#"{"profileTtlDefault": "soon"}"#,
            r#"{"asOfMarginSecs": 86401}"#,
            r#"{"rowsRejectedMaxPercent": 100.1}"#,
            r#"{"rowsRejectedMaxPercent": -1}"#,
        ] {
            assert_eq!(read(bad).expect_err(bad).details.len(), 1, "{bad}");
        }
        let all = r#"{"profileTtlDefault": "x", "activityTtlDefault": "", "asOfMarginSecs": 99999,
                      "rowsRejectedMaxPercent": 101}"#;
        assert_eq!(read(all).expect_err("all wrong").details.len(), 4);
    }
}
