//! So many lines of one kind a minute and no more: what is asked for a thousand times fails a thousand times.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock;
use crate::limits::{LOG_LINES_MAX, LOG_LINES_PERIOD};

/// Leaves warnings and errors out of the log that come too often, and says how many.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// By the place in the program that logs; there are only so many.
    kinds: Mutex<HashMap<Identifier, Kind>>,
}

#[derive(Debug)]
struct Kind {
    began: Instant,
    lines: u32,
    left_out: u64,
}

/// What becomes of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Admission {
    is_written: bool,
    /// How many were left out in the period before this line.
    left_out: u64,
}

impl Bound {
    fn admit(&self, kind: Identifier, now: Instant) -> Admission {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds.entry(kind).or_insert(Kind { began: now, lines: 0, left_out: 0 });
        let mut left_out = 0;
        if LOG_LINES_PERIOD <= now.saturating_duration_since(kind.began) {
            left_out = kind.left_out;
            *kind = Kind { began: now, lines: 0, left_out: 0 };
        }
        let is_written = kind.lines < LOG_LINES_MAX;
        if is_written {
            kind.lines += 1;
        } else {
            kind.left_out += 1;
        }
        Admission { is_written, left_out }
    }
}

impl<S: Subscriber> Layer<S> for Bound {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if Level::WARN < *metadata.level() {
            return true;
        }
        let Admission { is_written, left_out } = self.admit(metadata.callsite(), clock::instant());
        if 0 < left_out {
            let mut like = Message::default();
            event.record(&mut like);
            tracing::warn!(lines = left_out, like = like.0, "lines were left out of the log");
        }
        is_written
    }
}

/// The text of a line.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing::Callsite;
    use tracing::callsite::DefaultCallsite;
    use tracing::field::FieldSet;
    use tracing::metadata::{Kind as MetadataKind, Metadata};

    use super::*;

    #[test]
    fn a_line_too_many_is_left_out_and_counted_in_the_next_period() {
        static HERE: DefaultCallsite = DefaultCallsite::new(&METADATA);
        static METADATA: Metadata<'static> = Metadata::new(
            "test",
            "test",
            Level::WARN,
            None,
            None,
            None,
            FieldSet::new(&[], Identifier(&HERE)),
            MetadataKind::EVENT,
        );
        let (bound, start) = (Bound::default(), clock::instant());
        let admit = |seconds| bound.admit(HERE.metadata().callsite(), start + Duration::from_secs(seconds));
        for _ in 0..LOG_LINES_MAX {
            assert_eq!(admit(0), Admission { is_written: true, left_out: 0 });
        }
        let period = LOG_LINES_PERIOD.as_secs();
        assert_eq!(admit(0), Admission { is_written: false, left_out: 0 });
        assert_eq!(admit(period - 1), Admission { is_written: false, left_out: 0 });
        assert_eq!(admit(period), Admission { is_written: true, left_out: 2 });
        assert_eq!(admit(period), Admission { is_written: true, left_out: 0 });
    }
}
