//! The thread that brings the journal's write-ahead log into its file, so that no commit has to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::OpenError;

use super::Options;
use super::database::PAGE_BYTES;
use super::journal::Journal;

/// What a commit adds to the log even when its payload is tiny: a page or two of the table and of its index.
const COMMIT_OVERHEAD_BYTES: u64 = 8_192;

#[derive(Debug)]
pub(super) struct Checkpoints {
    /// `None` once the thread is told to end.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    appended: AtomicU64,
    checkpoint_bytes: u64,
}

impl Checkpoints {
    pub(super) fn start(journal: Arc<Journal>, options: &Options) -> Result<Checkpoints, OpenError> {
        let connection = journal.open_checkpoint_connection()?;
        let path = journal.path().to_path_buf();
        let wal_pages_max = options.wal_bytes_max / PAGE_BYTES;
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || {
                while woken.recv() == Ok(()) {
                    // A checkpoint that fails leaves the log longer and is tried again after the next appends; what
                    // is wrong with the disk, the appends will say.
                    let Ok(pages) = journal.checkpoint(&connection, false) else { continue };
                    if pages > wal_pages_max {
                        // Under a load without pauses the log never starts over by itself. What is left to copy
                        // now is only what was appended during the checkpoint above.
                        let _ = journal.checkpoint(&connection, true);
                    }
                }
            })
            .map_err(|source| OpenError::File { step: "start a thread for the checkpoints of", path, source })?;
        Ok(Checkpoints {
            wake: Some(wake),
            thread: Some(thread),
            appended: AtomicU64::new(0),
            checkpoint_bytes: options.checkpoint_bytes,
        })
    }

    /// Notes an append; begins a checkpoint when enough has come together.
    pub(super) fn note(&self, bytes: u64) {
        let added = bytes + COMMIT_OVERHEAD_BYTES;
        if self.appended.fetch_add(added, Ordering::Relaxed) + added < self.checkpoint_bytes {
            return;
        }
        self.appended.store(0, Ordering::Relaxed);
        if let Some(wake) = &self.wake {
            // Full means that a checkpoint is about to begin anyway.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
