//! Identifiers and secrets of accounts and API keys, made from random bytes that the caller draws.
//!
//! Reference: REST contract, sections 1.2 and 1.8; extensions, section 7.

use std::fmt;

/// Sid of an account: `AC` and 32 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AccountSid(String);

/// Sid of an API key: `SK` and 32 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeySid(String);

/// Why a text is not the sid that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {prefix} and 32 hexadecimal digits")]
pub struct SidError {
    pub prefix: &'static str,
}

impl AccountSid {
    /// The sid with these 128 random bits.
    pub fn from_random(bytes: [u8; 16]) -> AccountSid {
        AccountSid(format!("AC{}", hexadecimal(&bytes)))
    }

    /// Reads `^AC[0-9a-fA-F]{32}$`; the digits become lower-case, so that equal sids are equal texts.
    pub fn parse(text: &str) -> Result<AccountSid, SidError> {
        parse_sid("AC", text).map(AccountSid)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeySid {
    /// The sid with these 128 random bits.
    pub fn from_random(bytes: [u8; 16]) -> KeySid {
        KeySid(format!("SK{}", hexadecimal(&bytes)))
    }

    /// Reads `^SK[0-9a-fA-F]{32}$`; the digits become lower-case, so that equal sids are equal texts.
    pub fn parse(text: &str) -> Result<KeySid, SidError> {
        parse_sid("SK", text).map(KeySid)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountSid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for KeySid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An account's auth token: 32 lower-case hexadecimal digits.
pub fn auth_token(random: [u8; 16]) -> String {
    hexadecimal(&random)
}

/// An API key's secret: 32 letters and digits, 190 bits.
pub fn key_secret(random: [u8; 32]) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    let mut secret = String::with_capacity(32);
    let (halves, _) = random.as_chunks::<16>();
    for half in halves {
        // 16 digits to the base 62 use 95 of the 128 bits: what is left over makes the choice even to one in 2^32.
        let mut rest = u128::from_be_bytes(*half);
        for _ in 0..16 {
            secret.push(char::from(ALPHABET[(rest % 62) as usize]));
            rest /= 62;
        }
    }
    assert_eq!(secret.len(), 32);
    secret
}

/// The bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn parse_sid(prefix: &'static str, text: &str) -> Result<String, SidError> {
    let digits = text.strip_prefix(prefix).ok_or(SidError { prefix })?;
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(SidError { prefix });
    }
    Ok(format!("{prefix}{}", digits.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const BYTES: [u8; 16] = [0, 1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xff, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60];

    #[test]
    fn sids_and_tokens_are_lower_case_hexadecimal() {
        assert_eq!(AccountSid::from_random(BYTES).as_str(), "AC000123456789abcdefff102030405060");
        assert_eq!(KeySid::from_random(BYTES).to_string(), "SK000123456789abcdefff102030405060");
        assert_eq!(auth_token(BYTES), "000123456789abcdefff102030405060");
    }

    #[test]
    fn a_sid_is_its_prefix_and_32_digits_of_either_case() {
        let lower = "AC000123456789abcdefff102030405060";
        assert_eq!(AccountSid::parse(lower).unwrap().as_str(), lower);
        assert_eq!(AccountSid::parse("AC000123456789ABCDEFFF102030405060").unwrap().as_str(), lower);
        for wrong in [
            "",
            "AC",
            "ac000123456789abcdefff102030405060",
            "SK000123456789abcdefff102030405060",
            "AC000123456789abcdefff10203040506",
            "AC000123456789abcdefff1020304050600",
            "AC000123456789abcdefff10203040506g",
            "AC000123456789abcdefff1020304050é",
            " AC000123456789abcdefff102030405060",
            "AC000123456789abcdefff102030405060\n",
        ] {
            assert_eq!(AccountSid::parse(wrong), Err(SidError { prefix: "AC" }), "{wrong:?}");
        }
        assert_eq!(KeySid::parse(lower).unwrap_err().to_string(), "expected SK and 32 hexadecimal digits");
    }

    #[test]
    fn a_secret_uses_every_random_byte() {
        let mut seen = BTreeSet::from([key_secret([0; 32])]);
        for index in 0..32 {
            let mut random = [0; 32];
            random[index] = 1;
            seen.insert(key_secret(random));
        }
        assert_eq!(seen.len(), 33);
        assert_eq!(key_secret([0; 32]), "00000000000000000000000000000000");
    }

    proptest! {
        #[test]
        fn a_secret_is_32_letters_and_digits(random in any::<[u8; 32]>()) {
            let secret = key_secret(random);
            prop_assert_eq!(secret.len(), 32);
            prop_assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }

        #[test]
        fn made_sids_parse_to_themselves(random in any::<[u8; 16]>()) {
            let account = AccountSid::from_random(random);
            prop_assert_eq!(AccountSid::parse(account.as_str()), Ok(account));
            let key = KeySid::from_random(random);
            prop_assert_eq!(KeySid::parse(key.as_str()), Ok(key));
        }
    }
}
