//! Which format an export has, and that it tells; the rows are tested on the whole server.

use std::sync::Arc;

use sanntid_types::{EntitySchema, Error, Row, RowFile};

use crate::client::Call;
use crate::server::{Running, at};
use crate::stored::unloaded;

/// Counts rows instead of writing them.
struct Counted(usize);

/// Opens a file that says how many rows it got.
pub(crate) fn write(_: &Arc<EntitySchema>) -> Result<Box<dyn RowFile>, Error> {
    Ok(Box::new(Counted(0)))
}

impl RowFile for Counted {
    fn push(&mut self, _: &Row) -> Result<(), Error> {
        self.0 += 1;
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error> {
        Ok(format!("{} rows", self.0).into_bytes())
    }
}

/// The body of an answer in chunks.
pub(crate) fn body(answer: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(answer).into_owned();
    let (head, chunks) = text.split_once("\r\n\r\n").expect("a head");
    let mut whole = String::new();
    let mut rest = chunks;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        whole.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    (head.to_ascii_lowercase(), whole)
}

#[test]
fn the_option_or_the_header_says_the_format() {
    let server = Running::start();
    let get = |path: &str, accept: &str| {
        let call = Call::get(&at(path)).header("Accept", accept);
        body(&call.exchange(server.address))
    };
    let csv = "CustomerId,City,ContactId\nc1,Oslo,CNTID_1;CNTID_2\nc2,Trondheim,\n";
    let parquet = "application/vnd.apache.parquet";
    for (path, accept, content_type, file, expected) in [
        (
            "/exports/Customer",
            "*/*",
            "text/csv; charset=utf-8",
            "customer.csv",
            csv,
        ),
        (
            "/exports/Customer",
            "text/csv",
            "text/csv; charset=utf-8",
            "customer.csv",
            csv,
        ),
        (
            "/exports/customer?format=csv",
            parquet,
            "text/csv; charset=utf-8",
            "customer.csv",
            csv,
        ),
        (
            "/exports/Customer",
            parquet,
            parquet,
            "customer.parquet",
            "2 rows",
        ),
        (
            "/exports/Customer?format=parquet",
            "*/*",
            parquet,
            "customer.parquet",
            "2 rows",
        ),
        (
            "/exports/unifiedactivity?format=parquet",
            "*/*",
            parquet,
            "unifiedactivity.parquet",
            // The mock's activities came by the real-time API.
            "0 rows",
        ),
    ] {
        let (head, text) = get(path, accept);
        assert!(
            head.contains(&format!("content-type: {content_type}\r\n")),
            "{path}: {head}"
        );
        assert!(
            head.contains(&format!("filename=\"{file}\"")),
            "{path}: {head}"
        );
        assert_eq!(text, expected, "{path} {accept}");
    }
    for (path, accept, status) in [
        ("/exports/Customer?format=xml", "*/*", 400),
        ("/exports/Customer?format=", "*/*", 400),
        ("/exports/Customer?top=1", "*/*", 400),
        ("/exports/Customer", "text/html", 406),
        ("/exports/Nothing", "*/*", 404),
    ] {
        let answer = server.send(&Call::get(&at(path)).header("Accept", accept));
        assert_eq!(answer.status, status, "{path} {accept}");
    }
    *server.mock.tenant.lock().unwrap() = unloaded();
    for entity in ["Customer", "UnifiedActivity"] {
        let answer = server.get(&format!("/exports/{entity}"));
        assert_eq!(
            (answer.status, answer.code()),
            (404, "entityNotFound".to_owned())
        );
        let files = server.get(&format!("/data/{entity}?proxy=true")).json();
        assert_eq!(files, serde_json::json!({"httpRequests": []}));
    }
}
