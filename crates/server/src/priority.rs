//! Threads that must not take the processor from those who answer.

/// Of 0 (as everybody) to 19: a thread that waits for a busy processor gets about a seventieth of it, and gives it back
/// at once when somebody else wants it. With less, commits wait for it.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 19;

/// Lets every other thread go first from here on; it cannot be taken back.
///
/// - Not for a thread that holds what answers wait for: they would wait with it.
/// - Elsewhere than on Linux only whole processes have a priority, and nothing happens.
pub(crate) fn lower() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a background thread keeps the priority of the others");
    }
}

/// Runs something on a thread of its own with a lower priority, and waits for it.
pub(crate) fn lowered<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let run = || {
        lower();
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
        assert_eq!(lowered(niceness), before.max(NICENESS));
        assert_eq!(niceness(), before);
    }
}
