//! The record of a turn read back is the record written, but for its alerts.

use pointsman_engine::TurnRecord;
use pointsman_record::{public_event, turn};

use crate::world::World;

#[test]
fn a_record_read_back_is_the_same() {
    for seed in 0..24 {
        for record in World::lively(seed, 300).records {
            let bytes = turn::encode(&record);
            assert_eq!(turn::encode(&record), bytes, "the same record gives the same bytes");
            assert_eq!(turn::decode(&bytes).unwrap(), TurnRecord { alerts: Vec::new(), ..record.clone() });
            for event in &record.published {
                assert_eq!(&public_event::decode(&public_event::encode(event)).unwrap(), event);
            }
        }
    }
}
