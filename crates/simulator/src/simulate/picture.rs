//! A state as the bytes of its snapshot, to be held against another.

use pointsman_engine::State;

use super::Violation;

pub(super) fn bytes(state: &State) -> Vec<u8> {
    pointsman_record::snapshot::encode(&state.snapshot()).flatten().collect()
}

/// Both states must be the same, byte for byte.
pub(super) fn same(live: &State, made: &State, rule: &'static str) -> Result<(), Violation> {
    if bytes(live) == bytes(made) {
        return Ok(());
    }
    let lines = |state: &State| format!("{:#?}", state.snapshot());
    let (live, made) = (lines(live), lines(made));
    let differing = live.lines().zip(made.lines()).find(|(live, made)| live != made);
    Err(Violation::new(rule, format!("{differing:?}")))
}
