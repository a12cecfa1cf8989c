//! A file system of its own, with files that fail and hang as they are told to: a folder of a network
//! in small. Needs the right to mount, which a test's user mostly does not have.

use std::{
    collections::BTreeMap,
    ffi::CString,
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    thread::JoinHandle,
};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

const NO_ENTRY: i32 = 2;
const IO: i32 = 5;
const NOT_SERVED: i32 = 38;

const ROOT: u64 = 1;
const HEAD_BYTES: usize = 40;
const REQUEST_BYTES: usize = 64 * 1024;
/// Every read comes here, and none is answered from memory.
const DIRECT: u32 = 1;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// How many reads fail from now on, of this file from this offset on.
    pub(crate) failing: Option<(String, u64, u32)>,
    /// Reads of this file, or of everything where it is empty, are not answered.
    pub(crate) hanging: Option<String>,
    /// The reads, with their offsets, failed ones, too.
    pub(crate) reads: Vec<(String, u64)>,
    /// How many requests are not answered.
    pub(crate) unanswered: usize,
}

/// Is unmounted with its value: whoever waits for an answer then gets an error.
pub(crate) struct Fuse {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Fuse {
    /// Mounts over an empty folder.
    pub(crate) fn mount(path: &Path) -> std::io::Result<Self> {
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/fuse")?;
        let number = device.as_raw_fd();
        let options = format!("fd={number},rootmode=40000,user_id=0,group_id=0,allow_other");
        let options = CString::new(options)?;
        let flags = MountFlags::NODEV | MountFlags::NOSUID;
        mount("sanntid-test", path, "fuse", flags, options.as_c_str())?;
        let state = Arc::<Mutex<State>>::default();
        let of_thread = Arc::clone(&state);
        Ok(Self {
            state,
            path: path.to_owned(),
            thread: Some(std::thread::spawn(move || serve(device, &of_thread))),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        unmount(&self.path, UnmountFlags::FORCE | UnmountFlags::DETACH).unwrap();
        self.thread.take().map(JoinHandle::join);
    }
}

fn serve(mut device: File, state: &Mutex<State>) {
    let mut request = vec![0; REQUEST_BYTES + 4096];
    // It ends with the mount.
    while let Ok(count) = device.read(&mut request) {
        let (head, body) = request[..count].split_at(HEAD_BYTES);
        let Some(answer) = answer(head, body, &mut state.lock().unwrap()) else {
            continue;
        };
        let (error, bytes) = match answer {
            Ok(bytes) => (0, bytes),
            Err(error) => (-error, Vec::new()),
        };
        let mut reply = Vec::new();
        reply.extend(u32::try_from(16 + bytes.len()).unwrap().to_ne_bytes());
        reply.extend(error.to_ne_bytes());
        reply.extend(&head[8..16]);
        reply.extend(bytes);
        // Whoever asked may have been interrupted.
        device.write_all(&reply).ok();
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn small(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// `None` where there is to be no answer.
fn answer(head: &[u8], body: &[u8], state: &mut State) -> Option<Result<Vec<u8>, i32>> {
    let (operation, node) = (small(head, 4), number(head, 16));
    if matches!(operation, FORGET | BATCH_FORGET | INTERRUPT) {
        return None;
    }
    let hangs = |name: &str| {
        state
            .hanging
            .as_deref()
            .is_some_and(|of| of.is_empty() || of == name)
    };
    let name = name_of(state, node);
    if operation != INIT && (hangs("") || operation == READ && hangs(&name)) {
        state.unanswered += 1;
        return None;
    }
    Some(match operation {
        INIT => Ok(greeting(body)),
        LOOKUP => look_up(state, body),
        GETATTR => attributes(state, node).map(|about| [vec![0; 16], about].concat()),
        OPEN | OPENDIR => Ok([vec![0; 8], DIRECT.to_ne_bytes().to_vec(), vec![0; 4]].concat()),
        READ => read(state, &name, number(body, 8), small(body, 16)),
        RELEASE | RELEASEDIR | FLUSH => Ok(Vec::new()),
        _ => Err(NOT_SERVED),
    })
}

fn greeting(body: &[u8]) -> Vec<u8> {
    let (major, minor): (u32, u32) = (7, 31);
    let mut out = Vec::new();
    out.extend(major.to_ne_bytes());
    out.extend(minor.to_ne_bytes());
    out.extend(&body[8..12]);
    out.resize(20, 0);
    out.extend(u32::try_from(REQUEST_BYTES).unwrap().to_ne_bytes());
    out.resize(64, 0);
    out
}

fn name_of(state: &State, node: u64) -> String {
    let at = usize::try_from(node.saturating_sub(ROOT + 1)).unwrap();
    let name = state.files.keys().nth(at).filter(|_| node != ROOT);
    name.cloned().unwrap_or_default()
}

fn look_up(state: &State, body: &[u8]) -> Result<Vec<u8>, i32> {
    let name = String::from_utf8_lossy(body)
        .trim_end_matches('\0')
        .to_owned();
    let at = state.files.keys().position(|file| *file == name);
    let node = ROOT + 1 + at.ok_or(NO_ENTRY)? as u64;
    Ok([
        node.to_ne_bytes().to_vec(),
        vec![0; 32],
        attributes(state, node)?,
    ]
    .concat())
}

fn attributes(state: &State, node: u64) -> Result<Vec<u8>, i32> {
    let (mode, bytes): (u32, u64) = if node == ROOT {
        (0o040_755, 0)
    } else {
        let file = state.files.get(&name_of(state, node)).ok_or(NO_ENTRY)?;
        (0o100_644, file.len() as u64)
    };
    let mut out = Vec::new();
    out.extend(node.to_ne_bytes());
    out.extend(bytes.to_ne_bytes());
    // No times: a file is told by its length.
    out.resize(60, 0);
    out.extend(mode.to_ne_bytes());
    out.extend(1_u32.to_ne_bytes());
    out.resize(88, 0);
    Ok(out)
}

fn read(state: &mut State, name: &str, offset: u64, count: u32) -> Result<Vec<u8>, i32> {
    state.reads.push((name.to_owned(), offset));
    if let Some((failing, from, times)) = &mut state.failing
        && failing == name
        && offset >= *from
        && *times > 0
    {
        *times -= 1;
        return Err(IO);
    }
    let file = state.files.get(name).ok_or(NO_ENTRY)?;
    let from = usize::try_from(offset).unwrap().min(file.len());
    let to = (from + usize::try_from(count).unwrap()).min(file.len());
    Ok(file[from..to].to_vec())
}
