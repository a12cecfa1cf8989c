//! Buckets: what is read from them, and how a server that fails, hangs or refuses is met.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow_array::StringArray;
use flate2::{Compression, write::GzEncoder};
use sanntid_sources::{
    BucketLimits, BucketSecret, Buckets, Error, Folder, Found, Patience, Place, StopCheck,
};
use sanntid_types::{Location, Secret};

use crate::parquet_files::written;
use crate::reading::show;
use crate::s3_server::{Fault, S3Server};

const LIMITS: BucketLimits = BucketLimits {
    connect_timeout: Duration::from_secs(5),
    stall_timeout: Duration::from_secs(20),
    retries_max: 3,
    retry_wait: Duration::from_millis(1),
};
const MANIFEST: &str = r#"{"asOf": "2026-11-23T02:00:00Z", "entities": [
    {"name": "Customer", "entityType": "profile", "key": "CustomerId", "files": FILES,
     "attributes": [{"name": "CustomerId", "dataType": "Edm.String"}]}]}"#;

fn never() -> StopCheck {
    Arc::new(|| false)
}

struct World {
    server: S3Server,
    buckets: Buckets,
    place: Place,
}

impl World {
    fn new() -> Self {
        Self::with(LIMITS, never(), "s3://bucket/in")
    }

    fn with(limits: BucketLimits, stop: StopCheck, location: &str) -> Self {
        let server = S3Server::start();
        let secret = BucketSecret {
            access_key_id: Some("the-id".to_owned()),
            secret_access_key: Some(Secret::new("hidden-key")),
            endpoint: Some(server.endpoint()),
            allow_http: true,
            ..BucketSecret::default()
        };
        let buckets = Buckets::new(limits);
        let location = Location::parse(location).expect("location");
        let location = location.bucket().expect("bucket");
        let place = buckets.open(location, &secret, stop).expect("opens");
        Self {
            server,
            buckets,
            place,
        }
    }

    fn put_manifest(&self, files: &str) {
        self.server
            .put("in/snapshot.json", MANIFEST.replace("FILES", files));
    }

    fn open(&self) -> Result<Folder, Error> {
        Folder::open_in(&self.place, "snapshot.json")
    }

    /// Puts an object and finds it.
    fn object(&self, bytes: impl Into<Vec<u8>>) -> Found {
        self.server.put("in/a.csv", bytes);
        self.place.find("a.csv").expect("server").expect("object")
    }

    fn read(&self, found: &Found) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let content = self
            .place
            .open(found, &Patience::none())
            .map_err(|error| error.to_string())?;
        let mut stream = content.stream(0);
        stream
            .read_to_end(&mut bytes)
            .map(|_| bytes)
            .map_err(|error| error.to_string())
    }

    fn fail_with(&self, faults: impl IntoIterator<Item = Fault>) {
        self.server.state().faults.extend(faults);
    }
}

fn rows(folder: &Folder) -> Vec<String> {
    let schema = folder.schemas().first().expect("entity");
    let files = folder.files().iter();
    files
        .flat_map(|file| file.rows(schema).expect("opens"))
        .map(|item| show(&item.expect("row")))
        .collect()
}

fn noise(count: usize) -> Vec<u8> {
    (0..count)
        .map(|n| u8::try_from(n * n / 7 % 251).unwrap_or_default())
        .collect()
}

#[test]
fn names_and_patterns_find_objects_of_every_kind() {
    let world = World::new();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut packed, b"CustomerId\ngz\n").unwrap();
    world.server.put("in/a/1.csv.gz", packed.finish().unwrap());
    let zst = zstd::encode_all(&b"{\"CustomerId\": \"zst\"}\n"[..], 3).unwrap();
    world.server.put("in/a/2.ndjson.zst", zst);
    let ids = StringArray::from_iter_values((0..4_000).map(|n| format!("p{n}")));
    let file = written(
        vec![("CustomerId", Arc::new(ids))],
        parquet::basic::Compression::SNAPPY,
    );
    world.server.put("in/a/deep/3.parquet", file);
    world.server.put("in/a/.hidden.csv", "CustomerId\nno\n");
    world.server.put("in/ab/4.csv", "CustomerId\nno\n");
    world.server.put("in2/a/5.csv", "CustomerId\nno\n");
    // A console's mark of a folder.
    world.server.put("in/a/deep/", "");
    world.put_manifest(r#"["a/*.gz", "./a/2.ndjson.zst", "a/**/*.parquet", "a/?.csv.gz"]"#);
    let folder = world.open().expect("opens");
    let names: Vec<&str> = folder
        .files()
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(names, ["a/1.csv.gz", "a/2.ndjson.zst", "a/deep/3.parquet"]);
    let rows = rows(&folder);
    assert_eq!(rows.len(), 4_002);
    assert_eq!(
        [&rows[0], &rows[1], &rows[2], &rows[4_001]],
        ["1: \"gz\"", "1: \"zst\"", "1: \"p0\"", "4000: \"p3999\""]
    );
}

#[test]
fn attributes_that_are_not_declared_come_from_a_parquet_object() {
    let world = World::new();
    let ids = Arc::new(StringArray::from_iter_values(["a"]));
    let file = written(
        vec![("CustomerId", ids)],
        parquet::basic::Compression::ZSTD(<_>::default()),
    );
    world.server.put("in/c.parquet", file);
    let manifest = MANIFEST.replace("FILES", "[\"c.parquet\"]");
    let from = manifest.find("[{\"name\": \"CustomerId\"").unwrap();
    let manifest = format!("{}[]}}]}}", &manifest[..from]);
    world.server.put("in/snapshot.json", manifest);
    let folder = world.open().expect("opens");
    assert_eq!(rows(&folder), ["1: \"a\""]);
}

#[test]
fn what_a_manifest_may_not_mean_is_refused() {
    for (files, why) in [
        (r#"["none.csv"]"#, "does not exist"),
        (r#"["n*.csv"]"#, "does not exist"),
        (r#"["../in2/a.csv"]"#, "no .. in it"),
        (r#"["/in2/a.csv"]"#, "no / before it"),
        (r#"["a.txt"]"#, "is refused"),
        (r#"["[.csv"]"#, "is no pattern"),
        ("[]", "names no files"),
    ] {
        let world = World::new();
        world.server.put("in/a.csv", "CustomerId\n");
        world.server.put("in/a.txt", "CustomerId\n");
        world.put_manifest(files);
        let error = world.open().expect_err(files).to_string();
        assert!(error.contains(why), "{files}: {error}");
    }
    let world = World::new();
    let error = world.open().expect_err("no manifest").to_string();
    assert!(
        error.contains("snapshot.json") && error.contains("no such file"),
        "{error}"
    );
    world.server.put("in/snapshot.json", vec![b' '; 5 << 20]);
    let error = world.open().expect_err("too large").to_string();
    assert!(error.contains("more than"), "{error}");
    assert_eq!(world.server.reads().len(), 0, "it was not even asked for");
}

#[test]
fn an_answer_that_breaks_off_goes_on_where_it_was() {
    let world = World::new();
    let bytes = noise(3_000_000);
    let found = world.object(bytes.clone());
    let busy = Fault::Status(503, "SlowDown");
    world.fail_with([
        busy.clone(),
        busy.clone(),
        Fault::Cut(1_000_000),
        busy,
        Fault::Cut(10),
    ]);
    assert!(world.read(&found).expect("whole") == bytes);
    let starts: Vec<usize> = world
        .server
        .reads()
        .iter()
        .map(|line| {
            let (_, range) = line.split_once("bytes=").unwrap();
            range.split_once('-').unwrap().0.parse().unwrap()
        })
        .collect();
    assert_eq!(starts.len(), 6, "{starts:?}");
    assert_eq!(starts[..3], [0, 0, 0]);
    let resumed = starts[3];
    assert!(resumed > 0 && resumed <= 1_000_000, "{starts:?}");
    assert_eq!(starts[4], resumed);
    assert!(
        starts[5] >= resumed && starts[5] <= resumed + 10,
        "{starts:?}"
    );
}

#[test]
fn attempts_are_counted_since_something_was_read() {
    let world = World::new();
    let found = world.object(noise(1_000_000));
    let busy = |count| std::iter::repeat_n(Fault::Status(500, "InternalError"), count);
    // The cut is a failure too, the first after something was read.
    world.fail_with(busy(3).chain([Fault::Cut(100_000)]).chain(busy(2)));
    assert!(world.read(&found).is_ok(), "never more than three in a row");

    world.fail_with(busy(4));
    let error = world.read(&found).expect_err("four in a row");
    assert!(error.contains("unavailable (500 InternalError)"), "{error}");
    assert!(error.contains("tried 4 times"), "{error}");
}

#[test]
fn a_server_that_stalls_is_given_up_after_its_time() {
    let limits = BucketLimits {
        stall_timeout: Duration::from_millis(300),
        retries_max: 1,
        ..LIMITS
    };
    for sent in [0, 1_000] {
        let world = World::with(limits, never(), "s3://bucket/in");
        let found = world.object(noise(100_000));
        world.fail_with([Fault::Hang(sent)]);
        assert!(world.read(&found).is_ok(), "one stall is survived");
        world.fail_with([Fault::Hang(0), Fault::Hang(0)]);
        let error = world.read(&found).expect_err("two are not");
        assert!(error.contains("sent nothing for 300ms"), "{error}");
        assert!(error.contains("tried 2 times"), "{error}");
    }
}

#[test]
fn what_no_other_attempt_can_mend_fails_at_once_and_shows_no_secret() {
    for (fault, why) in [
        (
            Fault::Status(403, "InvalidAccessKeyId"),
            "refuses the credentials (403 InvalidAccessKeyId)",
        ),
        (
            Fault::Status(401, "AccessDenied"),
            "refuses the credentials (401",
        ),
        (
            Fault::Status(400, "ExpiredToken"),
            "refuses the credentials (400 ExpiredToken)",
        ),
        (Fault::Status(400, "Odd"), "answers 400 Odd"),
        (Fault::Status(404, "NoSuchKey"), "was changed"),
    ] {
        let world = World::new();
        let found = world.object("CustomerId\n");
        world.fail_with([fault]);
        let error = world.read(&found).expect_err(why);
        assert!(error.contains(why), "{error}");
        assert!(
            !error.contains("hidden-key") && !error.contains("the-id"),
            "{error}"
        );
        assert_eq!(world.server.reads().len(), 1, "{why}");
    }
    let world = World::new();
    world.put_manifest(r#"["*.csv"]"#);
    world
        .server
        .state()
        .list_faults
        .push_back(Fault::Status(403, "AccessDenied"));
    let error = world.open().expect_err("no list").to_string();
    assert!(error.contains("may list the bucket"), "{error}");

    let world = World::with(LIMITS, never(), "s3://other/in");
    let error = world.open().expect_err("no bucket").to_string();
    assert!(error.contains("there is no such bucket"), "{error}");
}

#[test]
fn an_object_that_changed_is_not_read() {
    let world = World::new();
    let found = world.object("CustomerId\na\n");
    world.server.put("in/a.csv", "CustomerId\nb\n");
    let error = world.read(&found).expect_err("changed before");
    assert!(error.contains("was changed"), "{error}");

    let found = world.object(noise(500_000));
    let other: Vec<u8> = noise(500_000).into_iter().rev().collect();
    world.fail_with([Fault::Replace(100_000, other)]);
    let error = world.read(&found).expect_err("changed meanwhile");
    assert!(error.contains("was changed"), "{error}");
}

#[test]
fn a_broken_bucket_does_not_look_like_a_corrupt_file() {
    let limits = BucketLimits {
        retries_max: 0,
        ..LIMITS
    };
    let lines = |line: fn(usize) -> String| (0..100_000).map(line).collect::<String>();
    let csv = format!("CustomerId\n{}", lines(|n| format!("id number {n}\n")));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut packed, csv.as_bytes()).unwrap();
    let gz = packed.finish().unwrap();
    let ndjson = lines(|n| format!("{{\"CustomerId\": \"id number {n}\"}}\n"));
    let zst = zstd::encode_all(ndjson.as_bytes(), 1).unwrap();
    let ids = StringArray::from_iter_values((0..200_000).map(|n| format!("id number {n}")));
    let parquet = written(
        vec![("CustomerId", Arc::new(ids))],
        parquet::basic::Compression::UNCOMPRESSED,
    );
    for (name, bytes) in [
        ("a.csv.gz", gz),
        ("a.ndjson.zst", zst),
        ("a.parquet", parquet),
    ] {
        let world = World::with(limits, never(), "s3://bucket/in");
        world.server.put(&format!("in/{name}"), bytes);
        world.put_manifest(&format!("[\"{name}\"]"));
        let folder = world.open().expect("opens");
        world.fail_with([Fault::Cut(300)]);
        let schema = folder.schemas().first().unwrap();
        let error = match folder.files()[0].rows(schema) {
            Ok(mut rows) => rows.find_map(Result::err).expect("breaks"),
            Err(error) => error,
        };
        let text = error.to_string();
        assert!(
            text.contains("the bucket's server failed"),
            "{name}: {text}"
        );
        assert!(error.is_io(), "{name}: it may pass: {text}");
    }
}

#[test]
fn a_wait_for_the_next_attempt_ends_with_the_wish_to_stop() {
    let limits = BucketLimits {
        retry_wait: Duration::from_secs(30),
        ..LIMITS
    };
    let stopped = Arc::new(AtomicBool::new(false));
    let of_check = Arc::clone(&stopped);
    let stop: StopCheck = Arc::new(move || of_check.load(Ordering::Acquire));
    let world = World::with(limits, stop, "s3://bucket/in");
    let found = world.object(noise(10));
    world.fail_with([Fault::Status(503, "SlowDown")]);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| world.read(&found));
        while world.server.reads().is_empty() {
            std::thread::yield_now();
        }
        stopped.store(true, Ordering::Release);
        let error = reading.join().unwrap().expect_err("stopped");
        assert!(error.contains("stopped"), "{error}");
    });
    assert_eq!(world.server.reads().len(), 1);

    // The same where a server hangs.
    stopped.store(false, Ordering::Release);
    world.fail_with([Fault::Hang(0)]);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| world.read(&found));
        while world.server.reads().len() < 2 {
            std::thread::yield_now();
        }
        stopped.store(true, Ordering::Release);
        assert!(reading.join().unwrap().is_err());
    });
}

#[test]
fn no_more_is_read_ahead_than_may_be_held() {
    const BYTES: usize = 64 << 20;
    let world = World::new();
    let found = world.object(vec![b'x'; BYTES]);
    let mut stream = world
        .place
        .open(&found, &Patience::none())
        .unwrap()
        .stream(0);
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    let shared = world.server.shared();
    let mut state = shared.0.lock().unwrap();
    while state.blocked_at.is_none() {
        state = shared.1.wait(state).unwrap();
    }
    let sent = state.blocked_at.unwrap();
    drop(state);
    // Most of it is in the buffers of the system.
    assert!(sent < 24 << 20, "{sent} of {BYTES} bytes were taken");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), BYTES - 1);
    drop(world.buckets);
}
