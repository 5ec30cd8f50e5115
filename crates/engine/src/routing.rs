//! Routing: which Task goes to which Worker, and when.
//!
//! - [`index`]: what is derived from the state to answer that without a scan: members of queues, available Workers in
//!   order of idleness, waiting Tasks in demand classes, deadlines.
//! - [`settle`]: the run to quiescence after every change (reference: routing, section 3.1).
//! - [`steps`]: how Tasks move through the steps of a Workflow (section 2).
//! - [`reserve`]: making offers (section 3.6).

pub(crate) mod index;
pub(crate) mod reserve;
pub(crate) mod settle;
pub(crate) mod steps;
