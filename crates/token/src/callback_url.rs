//! The address of a callback: one text that says where to send, with which credentials, how patiently, and what is signed.
//!
//! ```text
//! https://user:pass@app.example.org:8443/events?tenant=7#ct=2000&rc=2
//!         ^^^^^^^^^ basic_auth                            ^^^^^^^^^^^ overrides
//! request_url: https://app.example.org:8443/events?tenant=7
//! signed_url:  https://app.example.org/events?tenant=7
//! ```
//!
//! Reference: events and callbacks, sections 12.2 to 12.4.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Position, Url};

use crate::basic::Credentials;
use crate::limits::CALLBACK_URL_BYTES_MAX;
use crate::overrides::{self, ConnectionOverrides, IgnoredOverride};
use crate::signature::{BODY_HASH_PARAMETER, body_hash};

/// A checked and normalized callback address.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackUrl {
    request_url: Url,
    signed_origin: String,
    basic_auth: Option<Credentials>,
    overrides: ConnectionOverrides,
    ignored_overrides: Vec<IgnoredOverride>,
}

/// Why a text is no callback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackUrlError {
    #[error("the URL is longer than {CALLBACK_URL_BYTES_MAX} bytes")]
    TooLong,
    #[error("the text is not an absolute URL")]
    Malformed(#[source] url::ParseError),
    #[error("the scheme is neither http nor https")]
    OtherScheme,
    #[error("the user name or password is not UTF-8, or the user name contains a colon")]
    Userinfo,
}

impl CallbackUrl {
    /// Reads an absolute http or https URL and normalizes it as browsers do (WHATWG).
    ///
    /// - Errors: each [`CallbackUrlError`], in the order of its declaration.
    /// - Overrides that cannot be used are no error: see [`CallbackUrl::ignored_overrides`].
    pub fn parse(text: &str) -> Result<CallbackUrl, CallbackUrlError> {
        if text.len() > CALLBACK_URL_BYTES_MAX {
            return Err(CallbackUrlError::TooLong);
        }
        let mut url = Url::parse(text).map_err(CallbackUrlError::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(CallbackUrlError::OtherScheme);
        }
        let basic_auth = userinfo(&url)?;
        let (overrides, ignored_overrides) = overrides::parse(url.fragment().unwrap_or_default());
        let signed_origin = signed_origin(&url, text);

        url.set_fragment(None);
        url.set_username("").expect("http and https URLs have a host");
        url.set_password(None).expect("http and https URLs have a host");
        if url.query() == Some("") {
            // Python's validator loses a question mark that nothing follows, so none is sent.
            url.set_query(None);
        }
        Ok(CallbackUrl { request_url: url, signed_origin, basic_auth, overrides, ignored_overrides })
    }

    /// The address of the same callback when it carries a JSON body: with the hash of the body in its query.
    ///
    /// A `bodySHA256` that was there before goes, because validators look at the first one. Reference: events and
    /// callbacks, section 12.2, as the SDKs do.
    #[must_use]
    pub fn for_json_body(&self, body: &[u8]) -> CallbackUrl {
        let mut url = self.clone();
        let query = self.request_url.query().unwrap_or_default().split('&');
        let others = query.filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(BODY_HASH_PARAMETER));
        let mut pairs: Vec<&str> = others.collect();
        let body_hash = format!("{BODY_HASH_PARAMETER}={}", body_hash(body));
        pairs.push(&body_hash);
        url.request_url.set_query(Some(&pairs.join("&")));
        url
    }

    /// What the request is sent to: without userinfo and fragment.
    pub fn request_url(&self) -> &Url {
        &self.request_url
    }

    /// Whom the request goes to: scheme, host and port, and nothing that could be secret.
    pub fn receiver(&self) -> String {
        self.request_url.origin().ascii_serialization()
    }

    /// The receiver and the path there: what of an address says who is told. Neither credentials nor a query count.
    pub fn destination(&self) -> String {
        format!("{}{}", self.receiver(), self.request_url.path())
    }

    /// What is signed: the request URL, but for its port. Source: events and callbacks, section 12.2; ours.
    ///
    /// - https: no port, so that receivers behind a port-forwarding proxy see the same URL.
    /// - http: the port as it was written, `:80` included.
    /// - IPv6 addresses: the port as it was written with either scheme. Python's validator cannot take the port off them.
    pub fn signed_url(&self) -> String {
        format!("{}{}", self.signed_origin, &self.request_url[Position::BeforePath..])
    }

    /// The credentials that the address contains, to be sent with the first request already.
    pub fn basic_auth(&self) -> Option<&Credentials> {
        self.basic_auth.as_ref()
    }

    /// How to connect, wait and retry.
    pub fn overrides(&self) -> &ConnectionOverrides {
        &self.overrides
    }

    /// The parts of the fragment that have no effect, for the log.
    pub fn ignored_overrides(&self) -> &[IgnoredOverride] {
        &self.ignored_overrides
    }

    /// The host to connect to; an address is already one, without a name to look up.
    pub fn host(&self) -> Host<&str> {
        self.request_url.host().expect("http and https URLs have a host")
    }
}

impl fmt::Debug for CallbackUrl {
    /// Without the query, which may hold secrets of the receiver.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.request_url[..Position::AfterPath];
        formatter.debug_tuple("CallbackUrl").field(&address).finish()
    }
}

fn userinfo(url: &Url) -> Result<Option<Credentials>, CallbackUrlError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decode = |text| percent_decode_str(text).decode_utf8().map_err(|_| CallbackUrlError::Userinfo);
    let username = decode(url.username())?.into_owned();
    let password = decode(url.password().unwrap_or_default())?.into_owned();
    if username.contains(':') {
        // HTTP Basic could not tell it from the password.
        return Err(CallbackUrlError::Userinfo);
    }
    Ok(Some(Credentials { username, password }))
}

fn signed_origin(url: &Url, text: &str) -> String {
    let host = url.host().expect("http and https URLs have a host");
    let scheme = url.scheme();
    let port = match (scheme, &host) {
        ("https", Host::Domain(_) | Host::Ipv4(_)) => None,
        _ => written_port(url, text),
    };
    match port {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

/// The port in the text, even where it is the scheme's own, which [`Url`] drops.
fn written_port(url: &Url, text: &str) -> Option<u16> {
    // Under the other scheme of the two the same text keeps that port.
    let other_scheme = if url.scheme() == "http" { "https" } else { "http" };
    let (_, after_scheme) = text.split_once(':').expect("an absolute URL has a scheme");
    let other = Url::parse(&format!("{other_scheme}:{after_scheme}")).expect("http and https have the same syntax");
    url.port().or(other.port())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Checks the request URL and the signed URL.
    #[track_caller]
    fn check(text: &str, request_url: &str, signed_url: &str) {
        let url = CallbackUrl::parse(text).unwrap();
        assert_eq!(url.request_url().as_str(), request_url, "{text}");
        assert_eq!(url.signed_url(), signed_url, "{text}");
    }

    #[track_caller]
    fn check_same(text: &str, both: &str) {
        check(text, both, both);
    }

    #[test]
    fn an_https_port_is_requested_but_not_signed() {
        check("https://a.example:8443/x?y", "https://a.example:8443/x?y", "https://a.example/x?y");
        check("https://a.example:80/x", "https://a.example:80/x", "https://a.example/x");
        check("https://192.0.2.1:8443/x", "https://192.0.2.1:8443/x", "https://192.0.2.1/x");
        check_same("https://a.example:443/x", "https://a.example/x");
        check_same("https://a.example:/x", "https://a.example/x");
    }

    #[test]
    fn an_http_port_is_signed_as_it_was_written() {
        check_same("http://a.example/x", "http://a.example/x");
        check_same("http://a.example:8080/x", "http://a.example:8080/x");
        check_same("http://a.example:443/x", "http://a.example:443/x");
        check("http://a.example:80/x", "http://a.example/x", "http://a.example:80/x");
        check("http://a.example:0080/x", "http://a.example/x", "http://a.example:80/x");
        check(" hTTp:\\\\u:80@a.exa\tmple:8\n0/x", "http://a.example/x", "http://a.example:80/x");
        check_same("http://u:80@a.example/x", "http://a.example/x");
    }

    #[test]
    fn the_port_of_an_ipv6_address_is_signed_as_it_was_written() {
        check_same("https://[::1]:8443/x", "https://[::1]:8443/x");
        check_same("http://[0:0::1]:8080/x", "http://[::1]:8080/x");
        check_same("https://[::1]/x", "https://[::1]/x");
        check("https://[::1]:443/x", "https://[::1]/x", "https://[::1]:443/x");
        check("http://[::1]:80/x", "http://[::1]/x", "http://[::1]:80/x");
    }

    #[test]
    fn userinfo_and_fragment_are_neither_requested_nor_signed() {
        check_same("https://user:pass@a.example/x?y=1#ct=2000", "https://a.example/x?y=1");
        check_same("https://user@a.example/#", "https://a.example/");
    }

    #[test]
    fn the_url_is_normalized_as_browsers_do() {
        check_same("HTTPS://A.Example", "https://a.example/");
        check_same("https://a.example?q=1", "https://a.example/?q=1");
        check_same("https://a.example/a/../b/./c", "https://a.example/b/c");
        check_same("https://bücher.example/Zoë?n=Zoë&q='", "https://xn--bcher-kva.example/Zo%C3%AB?n=Zo%C3%AB&q=%27");
        check_same("https://a.example/a b?c d", "https://a.example/a%20b?c%20d");
        check_same("https://a.example/%7euser?x=%2f+", "https://a.example/%7euser?x=%2f+");
        check_same("https://a.example//a//b", "https://a.example//a//b");
        check_same(" https://a.example/x\n", "https://a.example/x");
    }

    #[test]
    fn a_question_mark_that_nothing_follows_is_dropped() {
        check_same("https://a.example/x?", "https://a.example/x");
        check_same("https://a.example/x?#rc=0", "https://a.example/x");
        check_same("https://a.example/x??", "https://a.example/x??");
    }

    #[test]
    fn userinfo_becomes_decoded_credentials() {
        let credentials = |text| CallbackUrl::parse(text).unwrap().basic_auth().cloned();
        let pair = |username: &str, password: &str| {
            Some(Credentials { username: username.to_owned(), password: password.to_owned() })
        };
        assert_eq!(credentials("https://a.example/"), None);
        assert_eq!(credentials("https://@a.example/"), None);
        assert_eq!(credentials("https://:@a.example/"), None);
        assert_eq!(credentials("https://user:pass@a.example/"), pair("user", "pass"));
        assert_eq!(credentials("https://user@a.example/"), pair("user", ""));
        assert_eq!(credentials("https://:pass@a.example/"), pair("", "pass"));
        assert_eq!(credentials("https://u%40x:p%3Aa%2Fß:@a.example/"), pair("u@x", "p:a/ß:"));
    }

    #[test]
    fn each_fault_of_an_address_has_its_own_error() {
        let error = |text: &str| CallbackUrl::parse(text).unwrap_err();
        for text in
            ["", "/events", "a.example/x", "https://", "http://a b/", "https://a.example:99999/", "https://[::1/"]
        {
            assert!(matches!(error(text), CallbackUrlError::Malformed(_)), "{text}");
        }
        for text in
            ["ftp://a.example/", "file:///etc/passwd", "ws://a.example/", "mailto:a@example.org", "localhost:80"]
        {
            assert_eq!(error(text), CallbackUrlError::OtherScheme, "{text}");
        }
        assert_eq!(error("https://%ff@a.example/"), CallbackUrlError::Userinfo);
        assert_eq!(error("https://u:%ff@a.example/"), CallbackUrlError::Userinfo);
        assert_eq!(error("https://u%3A:p@a.example/"), CallbackUrlError::Userinfo);
    }

    #[test]
    fn an_address_at_the_limit_is_read_and_one_past_it_is_not() {
        let start = "https://a.example/";
        let at_limit = format!("{start}{}", "x".repeat(CALLBACK_URL_BYTES_MAX - start.len()));
        assert!(CallbackUrl::parse(&at_limit).is_ok());
        assert_eq!(CallbackUrl::parse(&format!("{at_limit}x")).unwrap_err(), CallbackUrlError::TooLong);
    }

    #[test]
    fn overrides_are_read_from_the_fragment_and_faults_reported() {
        let url = CallbackUrl::parse("https://a.example/x#ct=2000&rp=all&rc=6").unwrap();
        assert_eq!(url.overrides().connect_timeout_ms, 2_000);
        assert!(url.overrides().retry_on.client_error);
        assert_eq!(url.overrides().retries_max, 1);
        assert_eq!(url.ignored_overrides().iter().map(|part| part.key.as_str()).collect::<Vec<_>>(), ["rc"]);
        let plain = CallbackUrl::parse("https://a.example/x").unwrap();
        assert_eq!(plain.overrides(), &ConnectionOverrides::default());
        assert!(plain.ignored_overrides().is_empty());
    }

    #[test]
    fn the_host_is_a_name_or_an_address() {
        let host = |text| CallbackUrl::parse(text).unwrap().host().to_string();
        assert_eq!(host("https://u:p@A.Example:1/"), "a.example");
        assert_eq!(host("https://[::1]:1/"), "[::1]");
        // The forms that try to slip past a list of networks come out as what they are.
        for loopback in
            ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://１２７.0.0.1/"]
        {
            let url = CallbackUrl::parse(loopback).unwrap();
            assert_eq!(url.host(), Host::<&str>::Ipv4(std::net::Ipv4Addr::LOCALHOST), "{loopback}");
        }
    }

    #[test]
    fn the_hash_of_a_json_body_ends_the_query_of_both_urls() {
        let hash = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let check = |text: &str, request_start: &str, signed_start: &str| {
            let url = CallbackUrl::parse(text).unwrap().for_json_body(b"{}");
            assert_eq!(url.request_url().as_str(), format!("{request_start}bodySHA256={hash}"), "{text}");
            assert_eq!(url.signed_url(), format!("{signed_start}bodySHA256={hash}"), "{text}");
        };
        check("https://a.example:8443", "https://a.example:8443/?", "https://a.example/?");
        check("https://a.example/x?a=1&b", "https://a.example/x?a=1&b&", "https://a.example/x?a=1&b&");
        check(
            "https://a.example/x?bodySHA256=0&a=1&bodySHA256",
            "https://a.example/x?a=1&",
            "https://a.example/x?a=1&",
        );
        check(
            "https://a.example/x?bodySHA256x=0",
            "https://a.example/x?bodySHA256x=0&",
            "https://a.example/x?bodySHA256x=0&",
        );
    }

    #[test]
    fn debug_output_hides_credentials_and_query() {
        let url = CallbackUrl::parse("https://user:hunter2@a.example/x?key=hunter3#rc=0").unwrap();
        assert_eq!(format!("{url:?}"), r#"CallbackUrl("https://a.example/x")"#);
    }

    proptest! {
        #[test]
        fn normalizing_twice_changes_nothing(
            text in r"https?://([a-z]{1,4}(:[a-z]{0,3})?@)?[a-z]{1,5}(:[1-9][0-9]{0,3})?(/[ -~é]{0,20})?"
        ) {
            if let Ok(url) = CallbackUrl::parse(&text) {
                let again = CallbackUrl::parse(url.request_url().as_str()).unwrap();
                prop_assert_eq!(again.request_url(), url.request_url());
                let signed_again = CallbackUrl::parse(&url.signed_url()).unwrap();
                prop_assert_eq!(signed_again.signed_url(), url.signed_url());
            }
        }

        #[test]
        fn any_text_is_answered(text in r"(https?:)?\PC{0,60}") {
            if let Ok(url) = CallbackUrl::parse(&text) {
                prop_assert!(!url.signed_url().contains('#'));
                prop_assert!(url.signed_url().ends_with(&url.request_url()[Position::BeforePath..]));
            }
        }
    }
}
