//! `X-Twilio-Signature`: how a receiver knows that a request comes from its account's server.
//!
//! ```text
//! message   = signed URL, then name and value of each distinct parameter, sorted, nothing between them
//! signature = base64(HMAC-SHA1(auth token, message))
//! ```
//!
//! A JSON body has no parameters; its hash is in the URL: [`CallbackUrl::for_json_body`](crate::CallbackUrl::for_json_body).
//! Reference: events and callbacks, section 12.2, as the SDKs do.

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::{Position, Url};

use crate::keys::hexadecimal;

/// Name of the header.
pub const HEADER: &str = "X-Twilio-Signature";

/// Name of the query parameter that holds the hash of a JSON body.
pub const BODY_HASH_PARAMETER: &str = "bodySHA256";

/// Value of [`BODY_HASH_PARAMETER`]: SHA-256 in lower-case hexadecimal digits.
pub fn body_hash(body: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA256, body).as_ref())
}

/// Signs a request.
///
/// - `auth_token`: the account's primary one.
/// - `signed_url`: of [`CallbackUrl::signed_url`](crate::CallbackUrl::signed_url), the query included.
/// - `parameters`: those of the form, decoded, in any order; none for GET and for a JSON body. A pair that occurs twice
///   counts once, as in the official validators.
pub fn sign(auth_token: &str, signed_url: &str, parameters: &[(&str, &str)]) -> String {
    let mut parameters = parameters.to_vec();
    parameters.sort_unstable();
    parameters.dedup();

    // SHA-1 is what the wire asks for; as the hash of an HMAC it is not known to be broken.
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth_token.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(signed_url.as_bytes());
    for (name, value) in parameters {
        context.update(name.as_bytes());
        context.update(value.as_bytes());
    }
    STANDARD.encode(context.sign())
}

/// Whether `signature` is that of a request with these form parameters, received at `url`.
///
/// `url` may show the port or not, whichever way it was signed: a receiver behind a proxy cannot know. Userinfo and
/// fragment do not count. Takes a time that depends on the request alone.
pub fn verify(auth_token: &str, url: &Url, parameters: &[(&str, &str)], signature: &str) -> bool {
    let [without_port, with_port] = signed_url_candidates(url);
    let matches = |signed_url: &str| {
        let expected = sign(auth_token, signed_url, parameters);
        constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes()).is_ok()
    };
    matches(&without_port) | matches(&with_port)
}

/// Whether `signature` is that of a request with this JSON body, received at `url`.
pub fn verify_json(auth_token: &str, url: &Url, body: &[u8], signature: &str) -> bool {
    let claimed = url.query_pairs().find(|(name, _)| name == BODY_HASH_PARAMETER);
    let Some((_, claimed)) = claimed else { return false };
    let body_matches = constant_time::verify_slices_are_equal(body_hash(body).as_bytes(), claimed.as_bytes()).is_ok();
    body_matches & verify(auth_token, url, &[], signature)
}

fn signed_url_candidates(url: &Url) -> [String; 2] {
    let scheme = url.scheme();
    let host = url.host_str().unwrap_or_default();
    let path_and_query = &url[Position::BeforePath..Position::AfterQuery];
    let without_port = format!("{scheme}://{host}{path_and_query}");
    match url.port_or_known_default() {
        Some(port) => [without_port, format!("{scheme}://{host}:{port}{path_and_query}")],
        None => [without_port.clone(), without_port],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::CallbackUrl;

    const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";

    const PARAMETERS: &[(&str, &str)] = &[
        ("AccountSid", "AC00000000000000000000000000000001"),
        ("EventType", "task.created"),
        ("TaskAge", "0"),
        ("TaskAttributes", r#"{"lang":"fr","name":"Zoë"}"#),
        ("WorkspaceSid", "WS00000000000000000000000000000001"),
    ];

    fn received_at(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn form_vector_of_the_reference() {
        let url = "https://app.example.org/taskrouter/events?tenant=7";
        let signature = sign(AUTH_TOKEN, url, PARAMETERS);
        assert_eq!(signature, "zkeDPnvMyv8ZlmgIwWdXGKuG23g=");
        assert!(verify(AUTH_TOKEN, &received_at(url), PARAMETERS, &signature));
    }

    #[test]
    fn empty_value_vector_of_the_reference() {
        let signature = sign(AUTH_TOKEN, "https://app.example.org/x", &[("A", ""), ("B", "2")]);
        assert_eq!(signature, "3zmpf0DbjINLnF231xjbmBO2Xn0=");
    }

    #[test]
    fn json_vector_of_the_reference() {
        let body = br#"[{"specversion":"1.0","type":"com.twilio.taskrouter.task.created"}]"#;
        assert_eq!(body_hash(body), "d81d3579a13999694ef655ea4dfa67b0505cba338dda841cf58e17f4938bc528");
        let url = CallbackUrl::parse("https://app.example.org/sink").unwrap().for_json_body(body);
        assert_eq!(
            url.signed_url(),
            "https://app.example.org/sink?bodySHA256=d81d3579a13999694ef655ea4dfa67b0505cba338dda841cf58e17f4938bc528"
        );
        let signature = sign(AUTH_TOKEN, &url.signed_url(), &[]);
        assert_eq!(signature, "BBWRo2RU2kulaQz/oSCfpc4UJfY=");
        assert!(verify_json(AUTH_TOKEN, url.request_url(), body, &signature));
        assert!(!verify_json(AUTH_TOKEN, url.request_url(), b"[]", &signature));
    }

    #[test]
    fn a_json_request_without_the_hash_of_its_body_is_refused() {
        let url = "https://app.example.org/sink";
        assert!(!verify_json(AUTH_TOKEN, &received_at(url), b"[]", &sign(AUTH_TOKEN, url, &[])));
    }

    #[test]
    fn parameters_count_sorted_and_once() {
        let url = "https://app.example.org/x";
        let expected = sign(AUTH_TOKEN, &format!("{url}B2a1a2"), &[]);
        assert_eq!(sign(AUTH_TOKEN, url, &[("a", "2"), ("B", "2"), ("a", "1"), ("a", "2")]), expected);
        assert_eq!(sign(AUTH_TOKEN, url, &[("B", "2"), ("a", "1"), ("a", "2")]), expected);
    }

    #[test]
    fn a_url_is_verified_with_and_without_its_port() {
        let check = |signed: &str, received: &str, expected: bool| {
            let signature = sign(AUTH_TOKEN, signed, PARAMETERS);
            assert_eq!(
                verify(AUTH_TOKEN, &received_at(received), PARAMETERS, &signature),
                expected,
                "{signed} {received}"
            );
        };
        check("https://a.example/x", "https://a.example/x", true);
        check("https://a.example:443/x", "https://a.example/x", true);
        check("https://a.example/x", "https://a.example:8443/x", true);
        check("https://a.example:8443/x", "https://a.example:8443/x", true);
        check("https://a.example:8443/x", "https://a.example/x", false);
        check("http://a.example:80/x", "http://a.example/x", true);
        check("http://a.example/x", "https://a.example/x", false);
        check("https://[::1]:8443/x", "https://[::1]:8443/x", true);
        check("https://a.example/x?y=1", "https://u:p@a.example/x?y=1#ct=100", true);
    }

    #[test]
    fn a_signature_of_another_shape_is_refused() {
        let url = "https://app.example.org/x";
        let signature = sign(AUTH_TOKEN, url, &[]);
        for wrong in ["", "=", &signature[1..], &format!("{signature}="), &signature.to_lowercase()] {
            assert!(!verify(AUTH_TOKEN, &received_at(url), &[], wrong), "{wrong}");
        }
    }

    fn parameters() -> impl Strategy<Value = Vec<(String, String)>> {
        prop::collection::vec(("[A-Za-z]{1,8}", ".{0,20}"), 1..8)
    }

    fn borrowed(parameters: &[(String, String)]) -> Vec<(&str, &str)> {
        parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    proptest! {
        #[test]
        fn what_was_signed_is_verified(
            url in r"https?://(u:p@)?[a-z]{1,9}(:(80|443|8443))?/[a-z'é ]{0,9}(\?[a-z=&'é]{0,9})?(#rc=1)?",
            parameters in parameters(),
            body in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let url = CallbackUrl::parse(&url).unwrap();
            let signature = sign(AUTH_TOKEN, &url.signed_url(), &borrowed(&parameters));
            prop_assert!(verify(AUTH_TOKEN, url.request_url(), &borrowed(&parameters), &signature));

            let url = url.for_json_body(&body);
            let signature = sign(AUTH_TOKEN, &url.signed_url(), &[]);
            prop_assert!(verify_json(AUTH_TOKEN, url.request_url(), &body, &signature));
        }

        #[test]
        fn the_order_of_parameters_does_not_count(parameters in parameters().prop_shuffle()) {
            let url = "https://app.example.org/x";
            let mut sorted = parameters.clone();
            sorted.sort();
            prop_assert_eq!(sign(AUTH_TOKEN, url, &borrowed(&parameters)), sign(AUTH_TOKEN, url, &borrowed(&sorted)));
        }

        #[test]
        fn any_changed_byte_fails(
            message in "[a-z0-9]{1,40}",
            body in prop::collection::vec(any::<u8>(), 1..40),
            place in any::<prop::sample::Index>(),
            change in 1..=255_u8,
        ) {
            let changed_at = |bytes: &[u8], change: u8| {
                let mut changed = bytes.to_vec();
                changed[place.index(bytes.len())] ^= change;
                changed
            };
            let text_changed = |text: &str| String::from_utf8(changed_at(text.as_bytes(), 1)).unwrap();
            let url = |query: &str| received_at(&format!("https://app.example.org/x?{query}"));

            let signed = format!("https://app.example.org/x?{message}");
            let signature = sign(AUTH_TOKEN, &signed, &[("Name", &message)]);
            let other = text_changed(&message);
            prop_assert!(verify(AUTH_TOKEN, &url(&message), &[("Name", &message)], &signature));
            prop_assert!(!verify(AUTH_TOKEN, &url(&other), &[("Name", &message)], &signature));
            prop_assert!(!verify(AUTH_TOKEN, &url(&message), &[("Name", &other)], &signature));
            prop_assert!(!verify(AUTH_TOKEN, &url(&message), &[("Name", &message)], &text_changed(&signature)));
            prop_assert!(!verify(&text_changed(AUTH_TOKEN), &url(&message), &[("Name", &message)], &signature));

            let json = CallbackUrl::parse(&signed).unwrap().for_json_body(&body);
            let signature = sign(AUTH_TOKEN, &json.signed_url(), &[]);
            let other = changed_at(&body, change);
            prop_assert!(verify_json(AUTH_TOKEN, json.request_url(), &body, &signature));
            prop_assert!(!verify_json(AUTH_TOKEN, json.request_url(), &other, &signature));
        }
    }
}
