//! Owns the threads that open and decode the files of a refresh, a bounded part ahead of the rows
//! that are loaded.
//!
//! Each file has a thread; rows come to whoever loads in the order of the files, whichever of them
//! was read first. A file may never answer: the job does not wait for its thread when it ends, and
//! a thread that stays is left behind. Must not hold anything of the store.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, mpsc},
    time::Duration,
};

use sanntid_sources::{Item, Rows};
use sanntid_types::{EntitySchema, Error, ErrorCode};

use super::{
    apart::{self, Presence},
    input::{EntityInput, InputFile},
    progress::Progress,
    run::{Failure, Run},
};

/// Rows that are read together, and checked together before they are written.
const ROWS_TOGETHER: usize = 2_000;
/// The same in bytes, up to one row more.
const BYTES_TOGETHER: usize = 4 << 20;
/// So many times that wait to be loaded of each file; one more is in the making.
const BATCHES_AHEAD: usize = 2;
/// How often a job that waits for rows looks whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a job that ends waits for its threads; those that stay are left behind.
const LEAVE_AFTER: Duration = Duration::from_millis(500);

/// What is next of a file.
pub(crate) enum Next {
    /// At least one.
    Rows(Vec<Item>),
    /// It can't be read any further.
    Failed(sanntid_sources::Error),
    End,
}

/// The files that are read, and those that will be.
pub(crate) struct Ahead<'a> {
    run: &'a Run,
    files_max: usize,
    waiting: VecDeque<(Arc<InputFile>, Arc<EntitySchema>)>,
    /// The first is the one whose rows are loaded.
    read: VecDeque<mpsc::Receiver<Next>>,
    threads: Vec<Arc<Presence>>,
    /// Each thread has a sender and sends nothing: that all are gone is how their end shows.
    here: mpsc::Sender<Infallible>,
    gone: mpsc::Receiver<Infallible>,
}

impl<'a> Ahead<'a> {
    /// Begins with the first files; all of `inputs` must be asked for in their order.
    pub(crate) fn new(run: &'a Run, inputs: &[EntityInput]) -> Result<Self, Failure> {
        let files = inputs.iter().flat_map(|input| {
            let schema = &input.schema;
            let file = |file| (Arc::clone(file), Arc::clone(schema));
            input.files.iter().map(file)
        });
        let (here, gone) = mpsc::channel();
        let mut ahead = Self {
            run,
            files_max: run.shared.config.refresh_files_max,
            waiting: files.collect(),
            read: VecDeque::new(),
            threads: Vec::new(),
            here,
            gone,
        };
        ahead.fill()?;
        Ok(ahead)
    }

    /// Waits for what is next of the present file. Behind its end there is the next one.
    pub(crate) fn next(&mut self) -> Result<Next, Failure> {
        let Some(rows) = self.read.front() else {
            let text = "more files were asked for than there are";
            return Err(Error::new(ErrorCode::Internal, text).into());
        };
        let next = loop {
            match rows.recv_timeout(LOOK_EVERY) {
                Ok(next) => break next,
                Err(mpsc::RecvTimeoutError::Timeout) => self.run.progress.check()?,
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(apart::panicked()),
            }
        };
        match next {
            // A wish that the job stop makes reading fail, too.
            Next::Failed(_) => self.run.progress.check()?,
            Next::End => {
                self.read.pop_front();
                self.fill()?;
            }
            Next::Rows(_) => {}
        }
        Ok(next)
    }

    /// Begins files until there are as many as there may be.
    fn fill(&mut self) -> Result<(), Failure> {
        self.threads.retain(|thread| thread.is_here());
        while self.read.len() < self.files_max
            && let Some((file, schema)) = self.waiting.pop_front()
        {
            let (sender, receiver) = mpsc::sync_channel(BATCHES_AHEAD);
            let left_behind = &self.run.shared.refreshes.left_behind;
            let presence = Presence::new(left_behind, format!("the job {}", self.run.job));
            let progress = Arc::clone(&self.run.progress);
            let until_gone = UntilGone {
                presence: Arc::clone(&presence),
                _here: self.here.clone(),
            };
            apart::spawn("refresh-file", move || {
                // Nobody wants the rest of a file whose job has ended.
                read(&file, &schema, &progress, &sender).ok();
                drop(until_gone);
            })?;
            self.threads.push(presence);
            self.read.push_back(receiver);
        }
        Ok(())
    }
}

impl Drop for Ahead<'_> {
    /// Ends what still reads: a file that failed, or a wish that the job stop, leaves others begun.
    fn drop(&mut self) {
        self.run.progress.end_reading();
        self.read.clear();
        let (nobody, _) = mpsc::channel();
        self.here = nobody;
        if self.gone.recv_timeout(LEAVE_AFTER) == Err(mpsc::RecvTimeoutError::Timeout) {
            for thread in &self.threads {
                thread.leave_behind();
            }
        }
    }
}

/// Notes that a thread has ended, however it does.
struct UntilGone {
    presence: Arc<Presence>,
    /// Dropped behind the note.
    _here: mpsc::Sender<Infallible>,
}

impl Drop for UntilGone {
    fn drop(&mut self) {
        self.presence.has_come_back();
    }
}

fn read(
    file: &InputFile,
    schema: &EntitySchema,
    progress: &Arc<Progress>,
    to: &mpsc::SyncSender<Next>,
) -> Result<(), mpsc::SendError<Next>> {
    let mut rows = match file.open(schema, progress) {
        Ok(rows) => rows,
        Err(error) => return to.send(Next::Failed(error)),
    };
    loop {
        let (together, error) = read_together(&mut rows);
        let is_end = together.is_empty();
        if !is_end {
            to.send(Next::Rows(together))?;
        }
        match error {
            Some(error) => return to.send(Next::Failed(error)),
            None if is_end => return to.send(Next::End),
            None => {}
        }
    }
}

/// Reads the next rows of a file; none at its end. An error comes with the rows before it.
fn read_together(rows: &mut Rows) -> (Vec<Item>, Option<sanntid_sources::Error>) {
    let mut together = Vec::new();
    let mut bytes = 0;
    while together.len() < ROWS_TOGETHER && bytes < BYTES_TOGETHER {
        match rows.next() {
            Some(Ok(item)) => {
                bytes += match &item {
                    Item::Row { row, .. } => row.as_bytes().len(),
                    Item::Rejected(rejection) => rejection.reason.len(),
                };
                together.push(item);
            }
            Some(Err(error)) => return (together, Some(error)),
            None => break,
        }
    }
    (together, None)
}
