//! Tests of the store at its border.
//!
//! - `conformance`: one contract for both implementations.
//! - `faults`: what the store in memory does when it is told to fail.
//! - `disk`: directories, files, days, reopening.
//! - `damage`: files that were cut, flipped, swapped.
//! - `crash`: processes that are killed.
//! - `backup`: a store in one file.

#[path = "store/backup.rs"]
mod backup;
#[path = "store/conformance.rs"]
mod conformance;
#[path = "store/crash.rs"]
mod crash;
#[path = "store/damage.rs"]
mod damage;
#[path = "store/disk.rs"]
mod disk;
#[path = "store/faults.rs"]
mod faults;
#[path = "store/samples.rs"]
mod samples;
