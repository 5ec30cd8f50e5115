//! Paths that are the server's own, beside the tables of `api`.

use hyper::Method;
use pointsman_api::{self as api, Answer, ApiError, errors};

/// What the operator contract names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Own {
    Health,
    Readiness,
    Metrics,
    OpenApi,
}

const ALL: &[(&str, Own, &[&str])] = &[
    ("/healthz", Own::Health, &["GET", "HEAD"]),
    ("/readyz", Own::Readiness, &["GET", "HEAD"]),
    ("/metrics", Own::Metrics, &["GET", "HEAD"]),
    ("/openapi.json", Own::OpenApi, &["GET", "HEAD"]),
];

impl Own {
    /// A single `/` at the end is tolerated, as everywhere.
    pub(super) fn of(path: &str) -> Option<Own> {
        let path = path.strip_suffix('/').unwrap_or(path);
        ALL.iter().find(|(known, _, _)| *known == path).map(|(_, own, _)| *own)
    }

    fn row(self) -> &'static (&'static str, Own, &'static [&'static str]) {
        ALL.iter().find(|(_, own, _)| *own == self).expect("every path of our own is listed")
    }

    pub(super) fn label(self) -> &'static str {
        self.row().0
    }

    pub(super) fn allows(self, method: &str) -> bool {
        self.row().2.contains(&method)
    }

    /// 405 with what is allowed.
    pub(super) fn method_not_allowed(self, method: &str, path: &str) -> Answer {
        let allowed = format!("{}, OPTIONS", self.row().2.join(", "));
        let error =
            ApiError::new(&errors::METHOD_NOT_ALLOWED, &[("method", &method), ("path", &path), ("allowed", &allowed)]);
        error.answer().with("Allow", allowed)
    }
}

/// `OPTIONS` on a path of the tables or of our own.
pub(super) fn preflight(path: &str) -> Answer {
    match Own::of(path) {
        Some(_) => Answer::no_content().with("Access-Control-Max-Age", "600"),
        None => api::preflight(path),
    }
}

/// Clients may send any word as a method; labels are few.
pub(super) fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
