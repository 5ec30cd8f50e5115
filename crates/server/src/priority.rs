//! Threads that must not take the processor from those who answer.

/// How far behind the others a thread stands, as Linux counts it: 0 is as everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub(crate) enum Niceness {
    /// Somebody may wait for its work in the end: of a busy processor it gets about a tenth.
    Behind = 10,
    /// Nobody does: about a seventieth.
    Last = 19,
}

/// Lets every other thread go first from here on; it cannot be taken back.
///
/// - Not for a thread that holds what answers wait for: they would wait with it.
/// - Elsewhere than on Linux only whole processes have a priority, and nothing happens.
pub(crate) fn lower(niceness: Niceness) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, niceness as i32) {
        tracing::debug!(%error, "a background thread keeps the priority of the others");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}

/// Runs something on a thread of its own that comes last, and waits for it.
pub(crate) fn lowered<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let run = || {
        lower(Niceness::Last);
        body()
    };
    std::thread::scope(|scope| scope.spawn(run).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_itself_is_lowered() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        assert_eq!(lowered(niceness), before.max(Niceness::Last as i32));
        assert_eq!(niceness(), before);
    }
}
