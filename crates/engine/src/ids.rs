//! Identifiers: what the API shows ([`Sid`]) and what the state is keyed by ([`Id`]).
//!
//! An [`Id`] is a number that grows with each object a Workspace creates, so its order *is* the creation order that
//! lists, ties and timers follow (reference: rest-contract, section 3.4). A [`Sid`] is drawn from the Workspace's seed
//! and that number: no random source is needed below the server, and replay gives the same identifiers.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

/// Something that has a SID; `PREFIX` is its two capital letters (reference: rest-contract, section 1.8).
pub trait Entity {
    const PREFIX: &'static str;
}

/// A public identifier: the prefix of its entity and 16 bytes, printed as 34 characters.
pub struct Sid<E> {
    bytes: [u8; 16],
    entity: PhantomData<fn() -> E>,
}

impl<E: Entity> Sid<E> {
    /// Reads `XX` + 32 hexadecimal digits, upper or lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(E::PREFIX)?.as_bytes();
        if digits.len() != 32 {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_value(pair[0])? << 4 | hex_value(pair[1])?;
        }
        Some(Self::from_bytes(bytes))
    }
}

impl<E> Sid<E> {
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self { bytes, entity: PhantomData }
    }

    pub const fn bytes(self) -> [u8; 16] {
        self.bytes
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

impl<E: Entity> fmt::Display for Sid<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(E::PREFIX)?;
        f.write_str(core::str::from_utf8(&text).expect("hexadecimal digits are ASCII"))
    }
}

impl<E: Entity> fmt::Debug for Sid<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The internal identity of an object: its place in the creation order of its Workspace.
pub struct Id<E> {
    number: u64,
    entity: PhantomData<fn() -> E>,
}

impl<E> Id<E> {
    pub const fn new(number: u64) -> Self {
        Self { number, entity: PhantomData }
    }

    pub const fn number(self) -> u64 {
        self.number
    }
}

impl<E> fmt::Debug for Id<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.number)
    }
}

// Derived implementations would ask the same of `E`, which is only a label.
impl<E> Clone for Sid<E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for Sid<E> {}
impl<E> PartialEq for Sid<E> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
impl<E> Eq for Sid<E> {}
impl<E> PartialOrd for Sid<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Sid<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}
impl<E> Hash for Sid<E> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}
impl<E> Clone for Id<E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for Id<E> {}
impl<E> PartialEq for Id<E> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl<E> Eq for Id<E> {}
impl<E> PartialOrd for Id<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Id<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number)
    }
}
impl<E> Hash for Id<E> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

/// Entities of the API that the engine only refers to.
#[derive(Debug)]
pub enum Account {}
#[derive(Debug)]
pub enum ApiKey {}
#[derive(Debug)]
pub enum OperatingUnit {}

impl Entity for Account {
    const PREFIX: &'static str = "AC";
}
impl Entity for ApiKey {
    const PREFIX: &'static str = "SK";
}
impl Entity for OperatingUnit {
    const PREFIX: &'static str = "OU";
}

/// Draws the SID of the object numbered `number`: a keyed mix of 128 bits, different for each prefix.
///
/// - `seed`: 16 random bytes, given once when the Workspace is created.
/// - Distinct numbers give distinct SIDs within one prefix: the mix is a permutation of 128 bits.
pub fn derive_sid<E: Entity>(seed: [u8; 16], number: u64) -> Sid<E> {
    let key = u128::from_be_bytes(seed);
    let prefix = E::PREFIX.as_bytes();
    let tweak = u128::from(prefix[0]) << 120 | u128::from(prefix[1]) << 112;
    let mut value = (u128::from(number) | tweak) ^ key;
    for round in 0..4_u32 {
        // Odd multiplication, xor-shift and key addition are each invertible.
        value = value.wrapping_mul(0x2d35_8dcc_aa6c_78a5_8bb8_4b93_962e_acc9);
        value ^= value >> 61;
        value = value.wrapping_add(key.rotate_left(31 * (round + 1)));
    }
    Sid::from_bytes(value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_sid_prints_as_it_was_read_in_lower_case() {
        let sid = Sid::<Account>::parse("ACABCDEF0123456789abcdef0123456789").unwrap();
        assert_eq!(sid.to_string(), "ACabcdef0123456789abcdef0123456789");
    }

    #[test]
    fn a_sid_of_wrong_prefix_length_or_digits_is_refused() {
        for text in [
            "",
            "AC",
            "SKabcdef0123456789abcdef0123456789",
            "ACabcdef0123456789abcdef012345678",
            "ACgbcdef0123456789abcdef0123456789",
        ] {
            assert_eq!(Sid::<Account>::parse(text), None, "{text}");
        }
    }

    #[test]
    fn derived_sids_differ_by_number_and_by_prefix() {
        let seed = [7; 16];
        let mut seen = alloc::collections::BTreeSet::new();
        for number in 0..10_000 {
            assert!(seen.insert(derive_sid::<Account>(seed, number).bytes()));
            assert!(seen.insert(derive_sid::<ApiKey>(seed, number).bytes()));
        }
    }
}
