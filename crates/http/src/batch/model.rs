//! A batch and its answer as they stand on the wire, for the OpenAPI document.
//! Owns the shape of an item's answer; requests are read by the crate `odata`.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A batch as it stands in a request.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `odata` reads")]
pub(crate) struct BatchRequest {
    requests: Vec<BatchRequestItem>,
}

/// One call of a batch.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `odata` reads")]
pub(crate) struct BatchRequestItem {
    /// Its own among the items.
    id: String,
    /// `get`, `patch` or `post`.
    method: String,
    /// Relative to `…/data/`, or absolute.
    url: String,
    /// Such as `If-Match`.
    #[schema(value_type = Option<Object>)]
    headers: Option<String>,
    #[schema(value_type = Option<Object>)]
    body: Option<String>,
    /// Ids of items before this one.
    depends_on: Option<Vec<String>>,
}

/// The answers, in the order of the items.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is written piece by piece")]
pub(crate) struct BatchAnswer {
    responses: Vec<BatchAnswerItem>,
}

/// What the call by itself would have been answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchAnswerItem {
    pub(crate) id: String,
    #[schema(example = 204)]
    pub(crate) status: u16,
    #[schema(value_type = Object)]
    pub(crate) headers: serde_json::Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) body: Option<Box<RawValue>>,
}
