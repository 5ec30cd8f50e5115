//! Much that is written goes to the disk bit by bit.

use std::fs::File;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Between one bit and the next; at a gigabyte a second half of this is half a megabyte.
const PAUSE: Duration = Duration::from_micros(500);

/// Runs something that writes much into a file, and synchronizes the file while it does and once more afterwards.
///
/// Left to the end, all of it would go to the disk in one piece, and a commit of the journal that comes meanwhile
/// would wait for all of it.
///
/// - Errors: there is no thread for it, and nothing was run; or a synchronization failed, and what was run has run.
pub(super) fn trickle<T>(file: &File, body: impl FnOnce() -> T) -> io::Result<T> {
    let (running, watch) = channel::<()>();
    thread::scope(|scope| {
        let synchronizing = thread::Builder::new().spawn_scoped(scope, move || {
            loop {
                file.sync_data()?;
                if watch.recv_timeout(PAUSE) == Err(RecvTimeoutError::Disconnected) {
                    return file.sync_data();
                }
            }
        })?;
        let result = body();
        drop(running);
        synchronizing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(result)
    })
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_run_runs_once_and_its_result_comes_back() {
        let file = tempfile::tempfile().unwrap();
        let written = trickle(&file, || (&file).write(b"much")).unwrap();
        assert_eq!((written.unwrap(), file.metadata().unwrap().len()), (4, 4));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_cannot_be_synchronized_is_an_error_after_what_was_run() {
        // A device that knows no synchronization.
        let file = OpenOptions::new().write(true).open("/dev/null").unwrap();
        let mut runs = 0;
        let error = trickle(&file, || runs += 1).unwrap_err();
        assert_eq!((error.kind(), runs), (io::ErrorKind::InvalidInput, 1));
    }
}
