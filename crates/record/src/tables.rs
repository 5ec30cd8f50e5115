//! What the fields of one record share: its texts, its SIDs and the instant that its times are told from.
//!
//! The events of one turn name the same few things again and again. Each text and each SID stands once per record, in
//! the order of first mention; fields hold its place in the table, from 1. Place 0, which the wire leaves out, is
//! "none". Instants are distances from the base in milliseconds: within a turn most are zero and cost nothing.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_engine::{Entity, Id, Sid, Timestamp, derive_sid};
use pointsman_expression::Attributes;

use crate::error::DecodeError;

/// The tables on the wire.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TablesMessage {
    #[prost(int64, tag = 1)]
    base_ms: i64,
    #[prost(string, repeated, tag = 2)]
    texts: Vec<String>,
    /// Sixteen bytes each.
    #[prost(bytes = "vec", tag = 3)]
    sids: Vec<u8>,
}

/// Collects the tables while a record is written. By default times are told from the Unix epoch.
#[derive(Debug, Default)]
pub(crate) struct Writer<'a> {
    base: Timestamp,
    texts: Vec<&'a str>,
    text_places: BTreeMap<&'a str, u32>,
    sids: Vec<u8>,
    sid_places: BTreeMap<[u8; 16], u32>,
    text_bytes: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(base: Timestamp) -> Self {
        Self { base, ..Self::default() }
    }

    pub(crate) fn text(&mut self, text: &'a str) -> u32 {
        let next = self.texts.len() as u32 + 1;
        let place = *self.text_places.entry(text).or_insert(next);
        if place == next {
            self.texts.push(text);
            // Tag and length take up to four bytes for texts below 2 MiB.
            self.text_bytes += text.len() + 4;
        }
        place
    }

    pub(crate) fn sid(&mut self, sid: [u8; 16]) -> u32 {
        let next = self.sid_places.len() as u32 + 1;
        let place = *self.sid_places.entry(sid).or_insert(next);
        if place == next {
            self.sids.extend_from_slice(&sid);
        }
        place
    }

    pub(crate) fn time(&self, instant: Timestamp) -> i64 {
        instant.0.wrapping_sub(self.base.0)
    }

    /// About how long the tables are on the wire.
    pub(crate) fn bytes(&self) -> usize {
        self.text_bytes + self.sids.len()
    }

    pub(crate) fn finish(self) -> TablesMessage {
        TablesMessage {
            base_ms: self.base.0,
            texts: self.texts.into_iter().map(String::from).collect(),
            sids: self.sids,
        }
    }
}

/// Resolves places in the tables while a record is read. Equal texts and attributes come out shared.
#[derive(Debug)]
pub(crate) struct Reader {
    base: Timestamp,
    texts: Vec<Text>,
    sids: Vec<u8>,
    /// Of the Workspace, where SIDs are derived rather than written; else zeros.
    seed: [u8; 16],
}

#[derive(Debug)]
struct Text {
    text: String,
    shared: OnceCell<Arc<str>>,
    attributes: OnceCell<Attributes>,
}

impl Reader {
    pub(crate) fn new(tables: TablesMessage) -> Self {
        let TablesMessage { base_ms, texts, sids } = tables;
        let texts =
            texts.into_iter().map(|text| Text { text, shared: OnceCell::new(), attributes: OnceCell::new() }).collect();
        Self { base: Timestamp(base_ms), texts, sids, seed: [0; 16] }
    }

    pub(crate) const fn set_seed(&mut self, seed: [u8; 16]) {
        self.seed = seed;
    }

    pub(crate) fn derived_sid<E: Entity>(&self, id: Id<E>) -> Sid<E> {
        derive_sid(self.seed, id.number())
    }

    fn entry(&self, place: u32, part: &'static str) -> Result<&Text, DecodeError> {
        let index = place.checked_sub(1).ok_or(DecodeError::Missing { part })?;
        self.texts.get(index as usize).ok_or(DecodeError::OutsideTable { part, place })
    }

    pub(crate) fn text(&self, place: u32, part: &'static str) -> Result<Arc<str>, DecodeError> {
        let entry = self.entry(place, part)?;
        let shared = || match entry.attributes.get() {
            Some(attributes) => attributes.shared_text(),
            None => entry.text.as_str().into(),
        };
        Ok(entry.shared.get_or_init(shared).clone())
    }

    pub(crate) fn attributes(&self, place: u32, part: &'static str) -> Result<Attributes, DecodeError> {
        let entry = self.entry(place, part)?;
        if let Some(attributes) = entry.attributes.get() {
            return Ok(attributes.clone());
        }
        let attributes = Attributes::parse(&entry.text).map_err(|source| DecodeError::Attributes { part, source })?;
        Ok(entry.attributes.get_or_init(|| attributes).clone())
    }

    pub(crate) fn sid(&self, place: u32, part: &'static str) -> Result<[u8; 16], DecodeError> {
        let index = place.checked_sub(1).ok_or(DecodeError::Missing { part })? as usize;
        let found = self.sids.chunks_exact(16).nth(index).ok_or(DecodeError::OutsideTable { part, place })?;
        Ok(found.try_into().expect("chunks have sixteen bytes"))
    }

    pub(crate) const fn time(&self, distance: i64) -> Timestamp {
        Timestamp(self.base.0.wrapping_add(distance))
    }
}
