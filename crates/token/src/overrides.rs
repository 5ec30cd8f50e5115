//! Connection overrides: how one callback address asks to be called, in its fragment (`#ct=2000&rc=2&rp=5xx,ct`).
//!
//! Reference: events and callbacks, section 12.3, documented.

use std::ops::RangeInclusive;

use url::form_urlencoded;

use crate::limits::{CONNECT_TIMEOUT_MS, READ_TIMEOUT_MS, RETRIES, TOTAL_TIMEOUT_MS};

/// How long to wait for a callback and when to try again; the default is what an address without a fragment gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionOverrides {
    /// `ct`: for the TCP connection and the TLS handshake.
    pub connect_timeout_ms: u16,
    /// `rt`: for the first and each next packet of the answer.
    pub read_timeout_ms: u16,
    /// `tt`: for everything, retries included.
    pub total_timeout_ms: u16,
    /// `rc`: attempts after the first.
    pub retries_max: u16,
    /// `rp`: the failures after which there is another attempt.
    pub retry_on: RetryOn,
    /// `sni`: whether the TLS handshake names the host.
    pub server_name_indication: bool,
}

/// Failures after which an attempt is repeated. An answer that broke off is never one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// `4xx`
    pub client_error: bool,
    /// `5xx`
    pub server_error: bool,
    /// `ct`: TCP connection or TLS handshake failed or took too long.
    pub connect_failure: bool,
    /// `rt`: no answer in time.
    pub read_timeout: bool,
}

/// A part of the fragment that has no effect, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredOverride {
    pub key: String,
    pub value: String,
    pub reason: IgnoredReason,
}

/// Why a part of the fragment has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoredReason {
    UnknownKey,
    ValueOutOfRange,
}

impl Default for ConnectionOverrides {
    fn default() -> ConnectionOverrides {
        ConnectionOverrides {
            connect_timeout_ms: 5_000,
            read_timeout_ms: 15_000,
            total_timeout_ms: 15_000,
            retries_max: 1,
            retry_on: RetryOn { connect_failure: true, ..RetryOn::default() },
            server_name_indication: true,
        }
    }
}

/// Reads a fragment without its `#`.
///
/// - Of a repeated key the last usable value counts.
/// - `e` (the vendor's edge location) is accepted and means nothing here.
/// - What cannot be used leaves the default in place and is reported, in the order of the text; a decision of ours.
pub(crate) fn parse(fragment: &str) -> (ConnectionOverrides, Vec<IgnoredOverride>) {
    let mut overrides = ConnectionOverrides::default();
    let mut ignored = Vec::new();
    for (key, value) in form_urlencoded::parse(fragment.as_bytes()) {
        let used = match &*key {
            "ct" => replace(&mut overrides.connect_timeout_ms, number(&value, CONNECT_TIMEOUT_MS)),
            "rt" => replace(&mut overrides.read_timeout_ms, number(&value, READ_TIMEOUT_MS)),
            "tt" => replace(&mut overrides.total_timeout_ms, number(&value, TOTAL_TIMEOUT_MS)),
            "rc" => replace(&mut overrides.retries_max, number(&value, RETRIES)),
            "rp" => replace(&mut overrides.retry_on, retry_on(&value)),
            "sni" => replace(&mut overrides.server_name_indication, yes_or_no(&value)),
            "e" => Ok(()),
            _ => Err(IgnoredReason::UnknownKey),
        };
        if let Err(reason) = used {
            ignored.push(IgnoredOverride { key: key.into_owned(), value: value.into_owned(), reason });
        }
    }
    (overrides, ignored)
}

fn replace<T>(place: &mut T, value: Option<T>) -> Result<(), IgnoredReason> {
    *place = value.ok_or(IgnoredReason::ValueOutOfRange)?;
    Ok(())
}

fn number(text: &str, range: RangeInclusive<u16>) -> Option<u16> {
    // `parse` alone would take a plus sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|value| range.contains(value))
}

fn retry_on(text: &str) -> Option<RetryOn> {
    let mut on = RetryOn::default();
    for failure in text.split(',') {
        match failure {
            "4xx" => on.client_error = true,
            "5xx" => on.server_error = true,
            "ct" => on.connect_failure = true,
            "rt" => on.read_timeout = true,
            "all" => on = RetryOn { client_error: true, server_error: true, connect_failure: true, read_timeout: true },
            _ => return None,
        }
    }
    Some(on)
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text {
        "y" => Some(true),
        "n" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what differs from the default, and the reports as `key=value reason`.
    #[track_caller]
    fn check(fragment: &str, change: impl FnOnce(&mut ConnectionOverrides), expected_ignored: &[&str]) {
        let mut expected = ConnectionOverrides::default();
        change(&mut expected);
        let (overrides, ignored) = parse(fragment);
        assert_eq!(overrides, expected, "{fragment}");
        let ignored: Vec<String> =
            ignored.iter().map(|part| format!("{}={} {:?}", part.key, part.value, part.reason)).collect();
        assert_eq!(ignored, expected_ignored, "{fragment}");
    }

    #[test]
    fn nothing_said_is_the_documented_default() {
        check("", |_| {}, &[]);
        check("&", |_| {}, &[]);
        let default = ConnectionOverrides::default();
        assert_eq!(
            (default.connect_timeout_ms, default.read_timeout_ms, default.total_timeout_ms),
            (5_000, 15_000, 15_000)
        );
        assert_eq!((default.retries_max, default.server_name_indication), (1, true));
        assert_eq!(default.retry_on, RetryOn { connect_failure: true, ..RetryOn::default() });
    }

    #[test]
    fn every_key_has_its_effect() {
        check(
            "ct=2000&rt=3000&tt=4000&rc=2&rp=5xx,rt&sni=n&e=dublin",
            |overrides| {
                *overrides = ConnectionOverrides {
                    connect_timeout_ms: 2_000,
                    read_timeout_ms: 3_000,
                    total_timeout_ms: 4_000,
                    retries_max: 2,
                    retry_on: RetryOn { server_error: true, read_timeout: true, ..RetryOn::default() },
                    server_name_indication: false,
                }
            },
            &[],
        );
    }

    #[test]
    fn numbers_at_their_limits_count_and_one_past_them_do_not() {
        check("ct=100", |overrides| overrides.connect_timeout_ms = 100, &[]);
        check("ct=10000", |overrides| overrides.connect_timeout_ms = 10_000, &[]);
        check("ct=99", |_| {}, &["ct=99 ValueOutOfRange"]);
        check("ct=10001", |_| {}, &["ct=10001 ValueOutOfRange"]);
        check("rt=100", |overrides| overrides.read_timeout_ms = 100, &[]);
        check("rt=14999", |overrides| overrides.read_timeout_ms = 14_999, &[]);
        check("rt=99", |_| {}, &["rt=99 ValueOutOfRange"]);
        check("rt=15001", |_| {}, &["rt=15001 ValueOutOfRange"]);
        check("tt=100", |overrides| overrides.total_timeout_ms = 100, &[]);
        check("tt=15000", |_| {}, &[]);
        check("tt=99", |_| {}, &["tt=99 ValueOutOfRange"]);
        check("tt=15001", |_| {}, &["tt=15001 ValueOutOfRange"]);
        check("rc=0", |overrides| overrides.retries_max = 0, &[]);
        check("rc=5", |overrides| overrides.retries_max = 5, &[]);
        check("rc=6", |_| {}, &["rc=6 ValueOutOfRange"]);
    }

    #[test]
    fn what_is_no_plain_number_is_ignored() {
        for value in ["", "-1", "2s", "1.5", "0x10", "99999999999999999999", " 2"] {
            check(&format!("rc={value}"), |_| {}, &[&format!("rc={value} ValueOutOfRange")]);
        }
        check("rc=%2B2", |_| {}, &["rc=+2 ValueOutOfRange"]);
        check("rc", |_| {}, &["rc= ValueOutOfRange"]);
    }

    #[test]
    fn the_retry_policy_is_a_list_of_known_failures_or_all() {
        let all = RetryOn { client_error: true, server_error: true, connect_failure: true, read_timeout: true };
        check("rp=all", |overrides| overrides.retry_on = all, &[]);
        check("rp=4xx,5xx,ct,rt", |overrides| overrides.retry_on = all, &[]);
        check(
            "rp=4xx%2Crt",
            |o| o.retry_on = RetryOn { client_error: true, read_timeout: true, ..RetryOn::default() },
            &[],
        );
        check("rp=4xx,3xx", |_| {}, &["rp=4xx,3xx ValueOutOfRange"]);
        check("rp=", |_| {}, &["rp= ValueOutOfRange"]);
        check("rp=ct,", |_| {}, &["rp=ct, ValueOutOfRange"]);
    }

    #[test]
    fn unusable_parts_do_not_spoil_the_others() {
        check(
            "section&CT=1&sni=yes&ct=700&rc=9",
            |overrides| overrides.connect_timeout_ms = 700,
            &["section= UnknownKey", "CT=1 UnknownKey", "sni=yes ValueOutOfRange", "rc=9 ValueOutOfRange"],
        );
    }

    #[test]
    fn the_last_usable_value_of_a_repeated_key_counts() {
        check("rc=2&rc=3&rc=9", |overrides| overrides.retries_max = 3, &["rc=9 ValueOutOfRange"]);
    }
}
