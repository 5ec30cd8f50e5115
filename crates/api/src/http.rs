//! Requests and answers as plain data, and the headers that every answer has. Reference: rest-contract, section 1.

use crate::errors::ApiError;
use crate::routes;

/// A request as it came in, before anything is known about it.
#[derive(Clone, Debug, Default)]
pub struct HttpRequest<'a> {
    pub method: &'a str,
    /// As sent: percent-encoded, without the query.
    pub path: &'a str,
    /// As sent, without the question mark.
    pub query: &'a str,
    pub content_type: Option<&'a str>,
    pub content_encoding: Option<&'a str>,
    pub if_match: Option<&'a str>,
    /// Where a stream that broke off goes on: `Last-Event-ID`.
    pub last_event_id: Option<&'a str>,
    pub body: &'a [u8],
    /// Scheme and host that `url` and `links` begin with, without a final slash.
    pub base_url: &'a str,
    /// Address of the client, for `source_ip_address`.
    pub peer: Option<&'a str>,
}

/// What goes back. `Content-Type` is `application/json; charset=utf-8` whenever there is a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<Header>,
    pub body: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: &'static str,
    pub value: String,
}

impl Header {
    pub fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into() }
    }
}

impl Answer {
    pub fn json(status: u16, body: String) -> Self {
        let headers = vec![Header::new("Content-Type", "application/json; charset=utf-8")];
        Self { status, headers, body }
    }

    pub fn no_content() -> Self {
        Self { status: 204, ..Self::default() }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// The value of a header by its exact name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.name == name).map(|header| header.value.as_str())
    }
}

/// Which origins may call from a browser: everyone (`*`), or those listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    #[default]
    All,
    Listed(Vec<String>),
}

/// Adds what every answer carries: `Cache-Control`, `Twilio-Request-Id` and the CORS headers (sections 1.5, 1.6).
///
/// - `request_id`: `RQ` and 32 hexadecimal digits, the one that the log shows.
/// - `origin`: the request's `Origin`.
pub fn add_common_headers(answer: &mut Answer, request_id: &str, origin: Option<&str>, origins: &CorsOrigins) {
    answer.headers.push(Header::new("Cache-Control", "no-store"));
    answer.headers.push(Header::new("Twilio-Request-Id", request_id));
    answer.headers.extend(cors_headers(origin, origins));
}

/// Adds what tells of a configured rate limit (section 1.5); without one the three are left out.
///
/// - `allowed`: requests per second; `remaining`: in this second; `key`: [`Call::rate_key`](crate::Call::rate_key).
pub fn add_rate_headers(answer: &mut Answer, allowed: u32, remaining: u32, key: &str) {
    answer.headers.push(Header::new("X-Rate-Limit-Limit", allowed.to_string()));
    answer.headers.push(Header::new("X-Rate-Limit-Remaining", remaining.to_string()));
    answer.headers.push(Header::new("X-Rate-Limit-Config", key));
}

/// The CORS headers alone.
pub fn cors_headers(origin: Option<&str>, origins: &CorsOrigins) -> Vec<Header> {
    let mut headers = match origins {
        CorsOrigins::All => vec![Header::new("Access-Control-Allow-Origin", "*")],
        CorsOrigins::Listed(listed) => {
            let mut headers = vec![Header::new("Vary", "Origin")];
            if let Some(origin) = origin.filter(|origin| listed.iter().any(|known| known == origin)) {
                headers.push(Header::new("Access-Control-Allow-Origin", origin));
                headers.push(Header::new("Access-Control-Allow-Credentials", "true"));
            }
            headers
        }
    };
    headers.push(Header::new("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"));
    headers.push(Header::new(
        "Access-Control-Allow-Headers",
        "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since",
    ));
    headers.push(Header::new(
        "Access-Control-Expose-Headers",
        "ETag, Pointsman-Warnings, Twilio-Request-Id, X-Rate-Limit-Limit, X-Rate-Limit-Remaining, X-Rate-Limit-Config",
    ));
    headers
}

/// Answers `OPTIONS`, which needs no credentials: 204 on every path of the tables, else 404.
pub fn preflight(path: &str) -> Answer {
    if routes::knows(path) {
        Answer::no_content().with("Access-Control-Max-Age", "600")
    } else {
        ApiError::not_found(path).answer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_may_call_by_default_and_credentials_are_never_allowed_then() {
        let headers = cors_headers(Some("https://a.example"), &CorsOrigins::All);
        assert_eq!(headers[0], Header::new("Access-Control-Allow-Origin", "*"));
        assert!(headers.iter().all(|header| header.name != "Access-Control-Allow-Credentials"));
    }

    #[test]
    fn a_listed_origin_is_echoed_and_another_is_not() {
        let origins = CorsOrigins::Listed(vec!["https://a.example".to_string()]);
        let listed = cors_headers(Some("https://a.example"), &origins);
        assert!(listed.contains(&Header::new("Access-Control-Allow-Origin", "https://a.example")));
        assert!(listed.contains(&Header::new("Vary", "Origin")));
        let other = cors_headers(Some("https://b.example"), &origins);
        assert!(other.iter().all(|header| header.name != "Access-Control-Allow-Origin"));
        assert!(other.contains(&Header::new("Vary", "Origin")));
    }

    #[test]
    fn options_on_a_known_path_is_204_and_404_elsewhere() {
        assert_eq!(preflight("/v1/Workspaces").status, 204);
        assert_eq!(preflight("/v1/Nothing").status, 404);
    }
}
