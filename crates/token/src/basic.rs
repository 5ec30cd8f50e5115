//! HTTP Basic: the claim in an `Authorization` header, and the comparison of secrets.
//!
//! Whose secret a username has is for the caller to look up. Reference: REST contract, section 1.2.

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use crate::limits::AUTHORIZATION_BYTES_MAX;

/// A username and the secret that is claimed to be its own.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

/// Why an `Authorization` header holds no [`Credentials`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BasicError {
    #[error("there are no credentials")]
    Missing,
    #[error("the authorization scheme is not Basic")]
    OtherScheme,
    #[error("the Authorization header is longer than {AUTHORIZATION_BYTES_MAX} bytes")]
    TooLong,
    #[error("the credentials are not valid base64")]
    NotBase64,
    #[error("the credentials are not valid UTF-8")]
    NotUtf8,
    #[error("the credentials have no colon between username and password")]
    NoColon,
}

/// Reads the value of an `Authorization` header.
///
/// - `header`: the bytes as received; `None` and a blank value are both [`BasicError::Missing`].
/// - The scheme is compared without case. The base64 may be of the standard or the URL alphabet, padded or not: clients
///   differ, and none of these can mean anything else.
/// - The username ends at the first colon; the password may contain more of them. Both may be empty.
/// - Errors: each [`BasicError`], in the order of its declaration. `OtherScheme` tells the caller to try a token.
pub fn parse(header: Option<&[u8]>) -> Result<Credentials, BasicError> {
    let header = header.unwrap_or_default().trim_ascii();
    if header.is_empty() {
        return Err(BasicError::Missing);
    }
    let scheme_end = header.iter().position(u8::is_ascii_whitespace).unwrap_or(header.len());
    let (scheme, encoded) = header.split_at(scheme_end);
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Err(BasicError::OtherScheme);
    }
    if header.len() > AUTHORIZATION_BYTES_MAX {
        return Err(BasicError::TooLong);
    }
    let decoded = decode_base64(encoded.trim_ascii()).ok_or(BasicError::NotBase64)?;
    let decoded = String::from_utf8(decoded).map_err(|_| BasicError::NotUtf8)?;
    let (username, password) = decoded.split_once(':').ok_or(BasicError::NoColon)?;
    Ok(Credentials { username: username.to_owned(), password: password.to_owned() })
}

/// Whether `given` is the secret, in a time that tells nothing about the secret, not even whether there is one.
///
/// `secret` is `None` for an unknown username: the same work is done as for a wrong password, and the answer is false.
pub fn verify(secret: Option<&str>, given: &str) -> bool {
    // Digests have equal lengths, so that the comparison does not end early for a guess of another length. The stand-in
    // is as long as the secrets of `keys`, so that hashing it takes as long.
    let expected = digest::digest(&digest::SHA256, secret.unwrap_or("--------------------------------").as_bytes());
    let given = digest::digest(&digest::SHA256, given.as_bytes());
    let equal = constant_time::verify_slices_are_equal(expected.as_ref(), given.as_ref()).is_ok();
    equal & secret.is_some()
}

impl Credentials {
    /// The value of an `Authorization` header that presents these credentials.
    pub fn authorization(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.username, self.password)))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Credentials { username, password: _ } = self;
        formatter.debug_struct("Credentials").field("username", username).finish_non_exhaustive()
    }
}

fn decode_base64(encoded: &[u8]) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const STANDARD_ALPHABET: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_ALPHABET: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

    STANDARD_ALPHABET.decode(encoded).or_else(|_| URL_ALPHABET.decode(encoded)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(header: &[u8], expected: Result<(&str, &str), BasicError>) {
        let expected = expected
            .map(|(username, password)| Credentials { username: username.to_owned(), password: password.to_owned() });
        assert_eq!(parse(Some(header)), expected, "{}", header.escape_ascii());
    }

    #[test]
    fn credentials_are_what_stands_around_the_first_colon() {
        check(b"Basic QUMxOnNlY3JldA==", Ok(("AC1", "secret")));
        check(b"Basic YTpiOmM=", Ok(("a", "b:c")));
        check(b"Basic Og==", Ok(("", "")));
        check(b"Basic QUMxOg==", Ok(("AC1", "")));
        check(b"Basic OnNlY3JldA==", Ok(("", "secret")));
        check("Basic Wm/Dqzpww6ZzcyB3b3Jk".as_bytes(), Ok(("Zoë", "pæss word")));
    }

    #[test]
    fn the_scheme_has_no_case_and_blanks_around_the_credentials_do_not_count() {
        check(b"bAsIc QUMxOnNlY3JldA==", Ok(("AC1", "secret")));
        check(b" BASIC \t QUMxOnNlY3JldA==  ", Ok(("AC1", "secret")));
    }

    #[test]
    fn both_alphabets_are_read_with_and_without_padding() {
        check(b"Basic QUMxOnNlY3JldA", Ok(("AC1", "secret")));
        check(b"Basic YTo/Pz8+Pj4=", Ok(("a", "???>>>")));
        check(b"Basic YTo_Pz8-Pj4=", Ok(("a", "???>>>")));
        check(b"Basic YTo_Pz8-Pj4", Ok(("a", "???>>>")));
        check(b"Basic YTo/Pz8-Pj4=", Err(BasicError::NotBase64));
    }

    #[test]
    fn no_header_and_a_blank_one_hold_no_credentials() {
        assert_eq!(parse(None), Err(BasicError::Missing));
        check(b"", Err(BasicError::Missing));
        check(b" \t", Err(BasicError::Missing));
    }

    #[test]
    fn another_scheme_is_told_apart_from_broken_credentials() {
        check(b"Bearer QUMxOnNlY3JldA==", Err(BasicError::OtherScheme));
        check(b"Basically QUMxOnNlY3JldA==", Err(BasicError::OtherScheme));
        check(b"QUMxOnNlY3JldA==", Err(BasicError::OtherScheme));
        check("Básic QUMxOnNlY3JldA==".as_bytes(), Err(BasicError::OtherScheme));
    }

    #[test]
    fn each_fault_of_the_credentials_has_its_own_error() {
        check(b"Basic QUMx OnNlY3JldA==", Err(BasicError::NotBase64));
        check(b"Basic AC1:secret", Err(BasicError::NotBase64));
        check(b"Basic \xff\xfe", Err(BasicError::NotBase64));
        check(b"Basic QUMxOsD/", Err(BasicError::NotUtf8));
        check(b"Basic QUMx", Err(BasicError::NoColon));
        check(b"Basic", Err(BasicError::NoColon));
        check(b"basic ", Err(BasicError::NoColon));
    }

    #[test]
    fn a_header_at_the_limit_is_read_and_one_past_it_is_not() {
        let header_of = |length: usize| {
            let encoded_length = length - "Basic ".len();
            let password = "p".repeat(encoded_length * 3 / 4 - "u:".len());
            let header = format!("Basic {}", STANDARD.encode(format!("u:{password}")).trim_end_matches('='));
            assert_eq!(header.len(), length);
            header
        };
        // One character of four never stands alone in base64: the limit itself must be a length that occurs.
        assert!(parse(Some(header_of(AUTHORIZATION_BYTES_MAX).as_bytes())).is_ok());
        check(header_of(AUTHORIZATION_BYTES_MAX + 2).as_bytes(), Err(BasicError::TooLong));
        let mut one_past = header_of(AUTHORIZATION_BYTES_MAX);
        one_past.push('=');
        check(one_past.as_bytes(), Err(BasicError::TooLong));
    }

    #[test]
    fn only_the_secret_itself_is_accepted() {
        let secret = "0123456789abcdef0123456789abcdef";
        assert!(verify(Some(secret), secret));
        assert!(!verify(Some(secret), ""));
        assert!(!verify(Some(secret), &secret[1..]));
        assert!(!verify(Some(secret), &secret.to_uppercase()));
        assert!(verify(Some("other lengths work too"), "other lengths work too"));
    }

    #[test]
    fn without_a_secret_nothing_is_accepted() {
        assert!(!verify(None, ""));
        assert!(!verify(None, "--------------------------------"));
    }

    #[test]
    fn debug_output_hides_the_password() {
        let credentials = Credentials { username: "AC1".to_owned(), password: "hunter2".to_owned() };
        assert_eq!(format!("{credentials:?}"), r#"Credentials { username: "AC1", .. }"#);
    }

    proptest! {
        #[test]
        fn parsing_what_was_rendered_is_the_identity(username in "[^:]{0,40}", password in ".{0,40}") {
            let credentials = Credentials { username, password };
            prop_assert_eq!(parse(Some(credentials.authorization().as_bytes())), Ok(credentials));
        }

        #[test]
        fn any_bytes_are_answered(header in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(Some(&header));
            let _ = parse(Some(&[b"Basic ", header.as_slice()].concat()));
        }
    }
}
