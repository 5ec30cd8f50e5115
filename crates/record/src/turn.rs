//! The record of a turn: what the journal keeps.

use pointsman_engine::{Event, Timestamp, TurnRecord};

use crate::error::DecodeError;
use crate::event::wire::EventMessage;
use crate::field::Field;
use crate::frame;
use crate::public_event::PublicEventMessage;
use crate::tables::{Reader, TablesMessage, Writer};
use crate::validate;

#[derive(Clone, PartialEq, prost::Message)]
struct TurnMessage {
    #[prost(message, optional, tag = 1)]
    tables: Option<TablesMessage>,
    #[prost(message, repeated, tag = 2)]
    events: Vec<EventMessage>,
    #[prost(message, repeated, tag = 3)]
    published: Vec<PublicEventMessage>,
}

/// Writes the events and the public events of a turn down. Alerts are not kept.
pub fn encode(record: &TurnRecord) -> Vec<u8> {
    let TurnRecord { events, published, alerts: _, abandoned_calls: _ } = record;
    let base = match (events.first(), published.first()) {
        (Some(Event::TimeAdvanced { at }), _) => *at,
        (_, Some(event)) => event.at,
        (_, None) => Timestamp(0),
    };
    let mut writer = Writer::new(base);
    let events = events.write(&mut writer);
    let published = published.write(&mut writer);
    frame::encode(&TurnMessage { tables: Some(writer.finish()), events, published })
}

/// Reads what [`encode`] wrote.
///
/// - Texts that the engine parses when it folds an event are known to parse.
pub fn decode(bytes: &[u8]) -> Result<TurnRecord, DecodeError> {
    let TurnMessage { tables, events, published } = frame::decode(bytes)?;
    let reader = Reader::new(tables.unwrap_or_default());
    let events: Vec<Event> = Field::read(events, "event", &reader)?;
    for event in &events {
        validate::event(event)?;
    }
    let published = Field::read(published, "published event", &reader)?;
    Ok(TurnRecord { events, published, ..TurnRecord::default() })
}
