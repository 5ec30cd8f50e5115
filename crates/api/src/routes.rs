//! From a path to a mount. Literals win over variables (reference: rest-contract, section 5).

use std::borrow::Cow;
use std::sync::LazyLock;

use percent_encoding::percent_decode_str;

use crate::form::clean_text;
use crate::resources::RESOURCES;
use crate::table::{Described, Mount};

/// A mount, its resource, and its path in pieces.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) resource: &'static dyn Described,
    pub(crate) mount: &'static Mount,
    segments: Vec<Segment>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(&'static str),
    /// A variable and what follows it in the segment (`.json`).
    Variable(&'static str),
}

/// All routes, those with earlier literals first.
static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let mut routes: Vec<Route> = RESOURCES
        .iter()
        .flat_map(|resource| resource.mounts().iter().map(|mount| (*resource, mount)))
        .map(|(resource, mount)| Route { resource, mount, segments: split_template(mount.path) })
        .collect();
    routes.sort_by(|a, b| a.segments.cmp(&b.segments));
    routes
});

fn split_template(path: &'static str) -> Vec<Segment> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments
        .map(|segment| match segment.strip_prefix('{').and_then(|variable| variable.split_once('}')) {
            Some((_, suffix)) => Segment::Variable(suffix),
            None => Segment::Literal(segment),
        })
        .collect()
}

/// Every route, for the documents.
pub(crate) fn all() -> &'static [Route] {
    &ROUTES
}

/// Whether some operation lives at the path.
pub(crate) fn knows(path: &str) -> bool {
    find(path).is_some()
}

/// The mount of a path and the decoded values of its variables.
///
/// - A single trailing `/` is tolerated; segments are percent-decoded once; what is not text names nothing.
pub(crate) fn find(path: &str) -> Option<(&'static Route, Vec<String>)> {
    let inner = path.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let given: Vec<Cow<'_, str>> = match inner {
        "" => Vec::new(),
        inner => inner.split('/').map(decode).collect::<Option<_>>()?,
    };
    ROUTES.iter().find_map(|route| Some((route, route.matches(&given)?)))
}

fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if segment.is_empty() {
        return None;
    }
    if !segment.contains('%') {
        return (!segment.contains('\0')).then_some(Cow::Borrowed(segment));
    }
    clean_text(percent_decode_str(segment).collect()).map(Cow::Owned)
}

impl Route {
    fn matches(&self, given: &[Cow<'_, str>]) -> Option<Vec<String>> {
        if self.segments.len() != given.len() {
            return None;
        }
        let mut variables = Vec::new();
        for (segment, text) in self.segments.iter().zip(given) {
            match segment {
                Segment::Literal(literal) => {
                    if text != literal {
                        return None;
                    }
                }
                Segment::Variable(suffix) => variables.push(text.strip_suffix(suffix)?.to_string()),
            }
        }
        Some(variables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<&str>) {
        assert_eq!(find(path).map(|(route, _)| route.mount.path), expected, "{path}");
    }

    #[test]
    fn literals_win_over_sids() {
        check("/v1/Workspaces/WS1/Workers/Statistics", Some("/v1/Workspaces/{WorkspaceSid}/Workers/Statistics"));
        check("/v1/Workspaces/WS1/Workers/WK1", Some("/v1/Workspaces/{WorkspaceSid}/Workers/{Sid}"));
        check(
            "/v1/Workspaces/WS1/TaskQueues/RealTimeStatistics",
            Some("/v1/Workspaces/{WorkspaceSid}/TaskQueues/RealTimeStatistics"),
        );
        check(
            "/v1/Workspaces/WS1/TaskQueues/WQ1/RealTimeStatistics",
            Some("/v1/Workspaces/{WorkspaceSid}/TaskQueues/{TaskQueueSid}/RealTimeStatistics"),
        );
    }

    #[test]
    fn paths_are_case_sensitive_and_take_one_trailing_slash() {
        check("/v1/Workspaces/", Some("/v1/Workspaces"));
        check("/v1/Workspaces//", None);
        check("/v1//Workspaces", None);
        check("/v1/workspaces", None);
        check("/v1/Workspaces.json", None);
        check("/", Some("/"));
        check("/v1", Some("/v1"));
        check("", None);
    }

    #[test]
    fn segments_are_decoded_once() {
        let (_, variables) = find("/v1/Workspaces/WS1/TaskChannels/my%20%2541").unwrap();
        assert_eq!(variables, ["WS1", "my %41"]);
        check("/v1/Workspaces/WS1/TaskChannels/%ff", None);
        check("/v1/Workspaces/WS1/TaskChannels/a%00", None);
    }

    #[test]
    fn every_official_path_is_mounted_once() {
        let mut paths: Vec<&str> = all().iter().map(|route| route.mount.path).collect();
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count);
        assert_eq!(paths.iter().filter(|path| path.starts_with("/v1/Workspaces")).count(), 37);
    }
}
