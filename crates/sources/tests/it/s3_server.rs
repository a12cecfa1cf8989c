//! A server that speaks as much S3 as reading takes, and fails in the ways that it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// What a request for an object is answered with, in place of the object.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// A status with a code in the body.
    Status(u16, &'static str),
    /// The head and so many bytes, then the connection is closed.
    Cut(usize),
    /// The head and so many bytes, and then nothing until the test ends.
    Hang(usize),
    /// As `Cut`, and then there is another object in its place.
    Replace(usize, Vec<u8>),
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    /// For requests of objects, in order; others are as they should be.
    pub(crate) faults: VecDeque<Fault>,
    /// The same for lists.
    pub(crate) list_faults: VecDeque<Fault>,
    /// `GET name bytes=0-99`, `HEAD name` or `LIST prefix`, in order.
    pub(crate) seen: Vec<String>,
    /// How many bytes of an object were sent when the reader would take no more.
    pub(crate) blocked_at: Option<usize>,
    ended: bool,
}

/// Ends with the test.
pub(crate) struct S3Server {
    shared: Arc<(Mutex<State>, Condvar)>,
    address: SocketAddr,
}

impl S3Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("port");
        let address = listener.local_addr().expect("address");
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.0.lock().expect("state").ended {
                    break;
                }
                let shared = Arc::clone(&of_thread);
                let stream = stream.expect("connection");
                thread::spawn(move || answer(&shared, stream));
            }
        });
        Self { shared, address }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().expect("state")
    }

    pub(crate) fn shared(&self) -> Arc<(Mutex<State>, Condvar)> {
        Arc::clone(&self.shared)
    }

    pub(crate) fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.state().objects.insert(name.to_owned(), bytes.into());
    }

    /// What was asked for, without lists and questions about an object's size.
    pub(crate) fn reads(&self) -> Vec<String> {
        let seen = self.state().seen.clone();
        seen.into_iter()
            .filter(|line| line.starts_with("GET "))
            .collect()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.state().ended = true;
        self.shared.1.notify_all();
        // Wakes the thread that accepts.
        TcpStream::connect(self.address).ok();
    }
}

struct Request {
    method: String,
    path: String,
    query: String,
    range: Option<(usize, usize)>,
    if_match: Option<String>,
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        range: None,
        if_match: None,
    };
    for line in lines {
        let line = line.ok()?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ")?;
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let (from, to) = value.strip_prefix("bytes=")?.split_once('-')?;
                request.range = Some((from.parse().ok()?, to.parse().ok()?));
            }
            "if-match" => request.if_match = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(request)
}

fn answer(shared: &(Mutex<State>, Condvar), stream: TcpStream) {
    let Some(request) = read_request(&stream) else {
        return;
    };
    let name = request.path.strip_prefix("/bucket").map(str::to_owned);
    let Some(name) = name else {
        return status(&stream, 404, "NoSuchBucket");
    };
    let name = name.trim_start_matches('/').to_owned();
    if name.is_empty() {
        return list(shared, &stream, &request);
    }
    let (object, fault) = {
        let mut state = shared.0.lock().expect("state");
        let range = request
            .range
            .map(|(from, to)| format!(" bytes={from}-{to}"));
        let line = format!("{} {name}{}", request.method, range.unwrap_or_default());
        state.seen.push(line);
        let fault = match request.method.as_str() {
            "GET" => state.faults.pop_front(),
            _ => None,
        };
        (state.objects.get(&name).cloned(), fault)
    };
    if let Some(Fault::Status(code, text)) = fault {
        return status(&stream, code, text);
    }
    let Some(object) = object else {
        return status(&stream, 404, "NoSuchKey");
    };
    if request.if_match.is_some_and(|tag| tag != tag_of(&object)) {
        return status(&stream, 412, "PreconditionFailed");
    }
    let (from, to) = request.range.unwrap_or((0, object.len().max(1) - 1));
    let body = object.get(from..(to + 1).min(object.len())).unwrap_or(&[]);
    let mut head = format!(
        "HTTP/1.1 {}\r\nContent-Length: {}\r\nETag: {}\r\nConnection: close\r\n\
         Last-Modified: Mon, 23 Nov 2026 02:00:00 GMT\r\n",
        if request.range.is_some() {
            "206 Partial Content"
        } else {
            "200 OK"
        },
        body.len(),
        tag_of(&object),
    );
    if request.range.is_some() {
        let last = from + body.len() - 1;
        head += &format!("Content-Range: bytes {from}-{last}/{}\r\n", object.len());
    }
    send(&stream, format!("{head}\r\n").as_bytes());
    if request.method == "HEAD" {
        return;
    }
    match fault {
        None => send_all(shared, &stream, body),
        Some(Fault::Cut(count)) => send(&stream, body.split_at(count).0),
        Some(Fault::Replace(count, other)) => {
            let mut state = shared.0.lock().expect("state");
            state.objects.insert(name, other);
            drop(state);
            send(&stream, body.split_at(count).0);
        }
        Some(Fault::Hang(count)) => {
            send(&stream, body.split_at(count).0);
            let mut state = shared.0.lock().expect("state");
            while !state.ended {
                state = shared.1.wait(state).expect("state");
            }
        }
        Some(Fault::Status(..)) => unreachable!("answered above"),
    }
}

fn list(shared: &(Mutex<State>, Condvar), stream: &TcpStream, request: &Request) {
    let mut state = shared.0.lock().expect("state");
    let prefix = request
        .query
        .split('&')
        .find_map(|pair| pair.strip_prefix("prefix="))
        .unwrap_or_default()
        .replace("%2F", "/");
    state.seen.push(format!("LIST {prefix}"));
    if let Some(Fault::Status(code, text)) = state.list_faults.pop_front() {
        return status(stream, code, text);
    }
    let mut contents = String::new();
    for (name, bytes) in state
        .objects
        .iter()
        .filter(|(name, _)| name.starts_with(&prefix))
    {
        let tag = tag_of(bytes).replace('"', "&quot;");
        contents += &format!(
            "<Contents><Key>{name}</Key><LastModified>2026-11-23T02:00:00.000Z</LastModified>\
             <ETag>{tag}</ETag><Size>{}</Size></Contents>",
            bytes.len()
        );
    }
    let body =
        format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    send(stream, (head + &body).as_bytes());
}

fn status(stream: &TcpStream, code: u16, text: &str) {
    let body = format!("<Error><Code>{text}</Code><Message>words</Message></Error>");
    let head = format!(
        "HTTP/1.1 {code} Status\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    send(stream, (head + &body).as_bytes());
}

/// The reader may be gone: then that is what is tested.
fn send(mut stream: &TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).ok();
}

/// Notes when the reader takes no more for a while.
fn send_all(shared: &(Mutex<State>, Condvar), mut stream: &TcpStream, bytes: &[u8]) {
    let patience = Some(Duration::from_millis(300));
    stream.set_write_timeout(patience).expect("option");
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(bytes.split_at(sent).1) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                shared
                    .0
                    .lock()
                    .expect("state")
                    .blocked_at
                    .get_or_insert(sent);
                shared.1.notify_all();
            }
            Err(_) => return,
        }
    }
}

/// Another for each content.
fn tag_of(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(bytes.len() as u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
    });
    format!("\"{sum:x}\"")
}
