//! `GET …/data/$metadata`: the model of an instance's data. Owns the choice between XML and JSON;
//! what the model says is the crate `query`'s part.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use sanntid_query::{csdl_json, csdl_xml, embedded_pairs};
use sanntid_types::{Error, ErrorCode};

use crate::export::quality;
use crate::query::{Query, shown};
use crate::reply::{Reply, json_text};
use crate::request::{DataCall, check_accept_of};
use crate::server::Shared;

const NAME: &str = "$metadata";
const JSON: &str = "application/json";
const XML: &str = "application/xml";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Xml,
}

/// Whether the decoded text behind `/data/` asks for the model.
pub(crate) fn is_asked(tail: &str) -> bool {
    tail.split('?').next() == Some(NAME)
}

pub(crate) async fn answer(shared: &Shared, data: &DataCall<'_>, mut query: Query) -> Reply {
    if let Some((_, embedded)) = data.tail.split_once('?') {
        query.extend(embedded_pairs(embedded));
    }
    let format = format(data.headers, &mut query)?;
    query.flag("forceSearch")?;
    query.finish()?;
    let reading = shared.tenants.read(data.instance).await?;
    Ok(match format {
        Format::Json => json_text(StatusCode::OK, csdl_json(&reading.tenant)),
        Format::Xml => HttpResponse::Ok()
            .content_type(XML)
            .body(csdl_xml(&reading.tenant)),
    })
}

/// The format that is asked for: by the option, else by the header. XML is OData's own choice.
fn format(headers: &HeaderMap, query: &mut Query) -> Result<Format, Error> {
    let option = query.option("$format")?;
    let option = option.map_or_else(|| query.option("format"), |known| Ok(Some(known)));
    match option?.as_deref() {
        Some("json" | JSON) => Ok(Format::Json),
        Some("xml" | XML) => Ok(Format::Xml),
        Some(other) => {
            let text = format!("$format is json or xml, not {}", shown(other));
            Err(Error::new(ErrorCode::InvalidArgument, text).with_target("$format"))
        }
        None => accepted(headers),
    }
}

fn accepted(headers: &HeaderMap) -> Result<Format, Error> {
    let (json, xml) = (quality(headers, JSON), quality(headers, XML));
    if json.is_some_and(|json| json > 0.0 && xml.is_none_or(|xml| json > xml)) {
        return Ok(Format::Json);
    }
    check_accept_of(headers, &[XML, "text/xml"])?;
    Ok(Format::Xml)
}
