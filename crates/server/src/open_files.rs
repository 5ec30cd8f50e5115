//! How many files the process may have open: every connection is one.

use crate::configuration::Configuration;
use crate::limits;

/// Raises the number of files that may be open to what the system allows at most, and warns when that is less than the
/// server's own bounds need.
///
/// - Elsewhere than on Linux nothing happens.
pub fn raise(configuration: &Configuration) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
            tracing::warn!(%error, "failed to raise the number of files that may be open");
        }
        let (open_files_max, needed) = (getrlimit(Resource::Nofile).current, needed(configuration));
        tracing::debug!(before = current, open_files_max, needed, "files that may be open");
        if open_files_max.is_some_and(|max| max < needed) {
            tracing::warn!(open_files_max, needed, "fewer files may be open than the server may need");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = needed(configuration);
}

/// Files that are open when every bound of the server is reached.
fn needed(configuration: &Configuration) -> u64 {
    // Connections to receivers: those under way, and as many that are kept.
    let callbacks = 2 * 2 * pointsman_dispatcher::limits::ATTEMPTS_MAX;
    // A lookup asks over a socket at a time, and reads files of the system.
    let lookups = 2 * 2 * limits::LOOKUPS_MAX;
    let connections = configuration.connections_max as usize + limits::METRICS_CONNECTIONS_MAX;
    (connections + callbacks + lookups + limits::STORE_FILES) as u64
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{Resource, getrlimit};

    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows() {
        raise(&Configuration::default());
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }

    #[test]
    fn what_is_needed_grows_with_the_connections() {
        let needed = |connections_max| needed(&Configuration { connections_max, ..Configuration::default() });
        assert!(needed(1) < 4_096, "{}", needed(1));
        assert_eq!(needed(1_000), needed(1) + 999);
    }
}
