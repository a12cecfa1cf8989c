//! What every answer tells browsers and caches: guess nothing, embed nothing, keep no data.
//! Owns these headers; must not know what an answer holds.

use actix_web::HttpRequest;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use crate::connection::Line;

/// Of an answer that is no page: nothing in it is to be run or shown within another.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// Of the page that shows the API: it loads from here alone, and its tool writes styles into it.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";
/// A year: browsers that have been here over TLS come back over nothing else.
const ONLY_TLS: &str = "max-age=31536000";

/// What an answer is, as far as browsers and caches are concerned.
#[derive(Clone, Copy, Debug)]
enum Shows {
    /// The page that shows the API, and its document.
    Page,
    /// Anything else; it may be data.
    Data,
}

/// What an answer's headers depend on besides the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    shows: Shows,
    is_tls: bool,
}

impl Setting {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let path = request.path();
        let is_page = path == "/openapi.json" || path == "/docs" || path.starts_with("/docs/");
        Self {
            shows: if is_page { Shows::Page } else { Shows::Data },
            is_tls: Line::of(request).is_some_and(Line::is_tls),
        }
    }
}

/// Adds what every answer has.
pub(crate) fn secure(headers: &mut HeaderMap, setting: Setting) {
    let caching = caching(headers, setting.shows);
    let mut set = |name, text| {
        headers.insert(name, HeaderValue::from_static(text));
    };
    set(CACHE_CONTROL, caching);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    // A key may stand in the URL.
    set(REFERRER_POLICY, "no-referrer");
    set(X_FRAME_OPTIONS, "DENY");
    if setting.is_tls {
        set(STRICT_TRANSPORT_SECURITY, ONLY_TLS);
    }
    match setting.shows {
        Shows::Page => set(CONTENT_SECURITY_POLICY, PAGE_POLICY),
        Shows::Data => set(CONTENT_SECURITY_POLICY, POLICY),
    }
}

fn caching(headers: &HeaderMap, shows: Shows) -> &'static str {
    match shows {
        Shows::Page => "no-cache",
        // What has a version may be kept by who asked for it, if it is asked for again each time.
        Shows::Data if headers.contains_key(ETAG) => "private, no-cache",
        Shows::Data => "no-store",
    }
}
