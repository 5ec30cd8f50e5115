//! The REST contract of TaskRouter v1, as plain data: tables, parsing, rendering, errors, pages, statistics, OpenAPI.
//!
//! ```text
//! HttpRequest ──► parse ──► Call ──► execute(&Call, &mut Turn) ──► Outcome::Answer
//!    bytes        no state           in the Workspace's turn     └► Outcome::History ──► HistoryAnswer(events)
//! ```
//!
//! - [`parse`] needs no state and runs wherever the bytes arrive; [`Call::scope`](Call) tells who decides.
//! - Calls of a Workspace: [`execute`], then perhaps [`HistoryAnswer`]. Render happens before the turn settles.
//! - Calls beside the Workspaces ([`AccountCall`]): [`index`], [`create_workspace_command`] and [`created_workspace`],
//!   [`workspace_row`] and [`workspace_page`], [`execute_keys`].
//! - Extensions that need more than the state leave as a [`ServerRequest`], which the server carries out.
//! - Every answer gets [`add_common_headers`]; `OPTIONS` is answered by [`preflight`] before credentials are looked at;
//!   credentials are answered by [`ApiError::no_credentials`] and its kin.
//! - Callbacks: [`event_fields`] and [`instruction`].
//!
//! Deliberately absent: sockets, async, clocks, and who the caller is. Reference: rest-contract.
#![forbid(unsafe_code)]

pub mod cloud_event;
pub mod dates;
pub mod errors;
pub mod event_fields;
pub mod form;
pub mod instruction;
pub mod json;
pub mod limits;
pub mod openapi;
pub mod parameters;
pub mod reference;
pub mod rejections;
pub mod resources;
pub mod table;
pub mod words;

mod account;
mod bulk;
mod execute;
mod extension;
mod history;
mod http;
mod interval;
mod listing;
mod page;
mod real_time;
mod request;
mod routes;
mod statistics;
mod target;

pub use crate::account::{
    AccountCall, FreshKey, KeysOutcome, WorkspaceRow, create_workspace_command, created_workspace, execute_keys, index,
    render_workspace, workspace_page, workspace_row,
};
pub use crate::errors::ApiError;
pub use crate::execute::{Instructed, Outcome, execute};
pub use crate::extension::{
    DeliveriesAsk, DeliveriesRequest, EventStreamRequest, LettersPage, LettersPlace, ServerRequest, StreamBegin,
};
pub use crate::history::{EventPlace, HistoryAnswer, HistoryOrder, HistoryQuery, HistoryRequest};
pub use crate::http::{
    Answer, CorsOrigins, Header, HttpRequest, add_common_headers, add_rate_headers, cors_headers, preflight,
};
pub use crate::request::{Call, CallScope, Settings, check_body, method_not_allowed, parse};
pub use crate::resources::{
    ClockMove, ClockReading, DeadDelivery, DeliveryCounters, FoundLetters, clock_move, render_clock, render_deliveries,
    render_delivery, render_replay,
};
pub use crate::target::Target;
