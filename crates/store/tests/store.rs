//! Tests of the store at its border. `conformance` holds both implementations to one contract; the rest is about files.

#[path = "store/conformance.rs"]
mod conformance;
#[path = "store/samples.rs"]
mod samples;
