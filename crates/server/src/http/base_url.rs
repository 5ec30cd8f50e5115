//! What `url` and `links` of an answer begin with. Reference: rest-contract, section 1.1.

use std::net::IpAddr;

use hyper::header::HOST;
use hyper::http::request::Parts;
use ipnet::IpNet;

/// How the address that clients see is found out.
#[derive(Clone, Debug)]
pub(crate) struct BaseUrl {
    /// Wins over everything that a request says.
    pub(crate) public_url: Option<String>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// For requests that name no host.
    pub(crate) listener: String,
}

impl BaseUrl {
    /// Scheme and host, without a final slash.
    pub(crate) fn of(&self, peer: IpAddr, request: &Parts) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let peer = peer.to_canonical();
        let is_trusted = self.trusted_proxies.iter().any(|network| network.contains(&peer));
        // Proxies append, so the first value is what the client used.
        let forwarded = |name: &str| {
            let first = header(name).filter(|_| is_trusted)?.split(',').next()?.trim();
            (!first.is_empty()).then_some(first)
        };
        let scheme = match forwarded("x-forwarded-proto") {
            Some(proto) if proto.eq_ignore_ascii_case("https") => "https",
            Some(_) | None => "http",
        };
        let host = forwarded("x-forwarded-host")
            .or_else(|| request.uri.authority().map(hyper::http::uri::Authority::as_str))
            .or_else(|| request.headers.get(HOST).and_then(|host| host.to_str().ok()))
            .filter(|host| is_host(host))
            .unwrap_or(&self.listener);
        format!("{scheme}://{host}")
    }
}

/// Whether a text can be host and port. What else it might be does not belong into answers.
fn is_host(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(public_url: Option<&str>, headers: &[(&str, &str)], expected: &str) {
        let base_url = BaseUrl {
            public_url: public_url.map(str::to_owned),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            listener: "127.0.0.1:8420".to_owned(),
        };
        let mut request = hyper::Request::builder().uri("/v1/Workspaces");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let peer: &str = headers.iter().find(|(name, _)| *name == "peer").map_or("203.0.113.5", |(_, value)| value);
        assert_eq!(base_url.of(peer.parse().unwrap(), &parts), expected);
    }

    #[test]
    fn the_public_url_wins() {
        check(Some("https://route.example.com/tr"), &[("host", "other")], "https://route.example.com/tr");
    }

    #[test]
    fn without_it_the_host_of_the_request_counts() {
        check(None, &[("host", "localhost:8420")], "http://localhost:8420");
        check(None, &[], "http://127.0.0.1:8420");
        check(None, &[("host", "a\"b")], "http://127.0.0.1:8420");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let forwarded = [("host", "inner"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "outer.example, x")];
        check(None, &forwarded, "http://inner");
        let trusted: Vec<_> = forwarded.iter().copied().chain([("peer", "10.1.2.3")]).collect();
        check(None, &trusted, "https://outer.example");
        let mapped: Vec<_> = forwarded.iter().copied().chain([("peer", "::ffff:10.1.2.3")]).collect();
        check(None, &mapped, "https://outer.example");
    }
}
