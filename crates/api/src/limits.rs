//! Every limit of this crate. Reference: rest-contract, section 10. Each is tested at the limit and one past it.

/// Bytes of a request body. Reference: rest-contract, section 1.3 [decide].
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes of a request's path and query together; the server refuses longer ones before they get here. A little less than
/// what ends in its HTTP parser, whose answer has no body.
pub const TARGET_BYTES_MAX: usize = 60 * 1024;
/// Bytes of all headers of a request, names and values, and how many there may be; the server refuses more.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
pub const HEADERS_MAX: usize = 100;
/// Fields of a form or a query.
pub const FORM_FIELDS_MAX: usize = 1_000;
/// Records on one page, and what applies when the request does not say. Reference: rest-contract, section 3.1 [oai].
pub const PAGE_SIZE_MAX: usize = 1_000;
pub const PAGE_SIZE_DEFAULT: usize = 50;
/// Characters of a friendly name; TaskQueues and Workflows may have longer ones. Reference: rest-contract, section 4.2.
pub const FRIENDLY_NAME_CHARS_MAX: usize = 64;
pub const LONG_FRIENDLY_NAME_CHARS_MAX: usize = 255;
/// Characters of a TaskChannel's unique name. Reference: rest-contract, section 6.6 [decide].
pub const UNIQUE_NAME_CHARS_MAX: usize = 64;
/// Characters of a Task's reason. Reference: rest-contract, section 6.9 [decide].
pub const REASON_CHARS_MAX: usize = 4_096;
/// Bytes of a URL; no more than callbacks can be sent to.
pub const URL_BYTES_MAX: usize = 4_096;
pub const TEXT_CHARS_MAX: usize = 16_384;
/// Of a conference, which becomes a part of a path and of TwiML.
pub const ROOM_NAME_CHARS_MAX: usize = 64;
/// TaskQueues of one bulk request. Reference: statistics, section 8.4 [doc].
pub const BULK_TASK_QUEUES_MAX: usize = 50;
/// Thresholds of `SplitByWaitTime`, and the largest in seconds. Reference: statistics, section 3.4 [decide].
pub const SPLIT_THRESHOLDS_MAX: usize = 20;
pub const SPLIT_SECONDS_MAX: u32 = 1_209_600;
/// Minutes of an interval that nobody asked for. Reference: statistics, section 3.1 [doc].
pub const MINUTES_DEFAULT: i64 = 15;
/// A start this much older than the horizon is still taken. Reference: statistics, section 3.2 [decide].
pub const HORIZON_GRACE_MS: i64 = 60_000;
/// Days that statistics reach back, and that events are kept, unless the operator says otherwise.
pub const STATISTICS_RETENTION_DAYS: u32 = 30;
pub const EVENTS_RETENTION_DAYS: u32 = 30;
/// Task attributes of older events are hidden. Reference: rest-contract, section 6.11 [oai].
pub const REDACTION_DAYS: u32 = 30;
/// Seconds that one call may advance the virtual clock. Reference: extensions, section 2.
pub const ADVANCE_SECONDS_MAX: i64 = 31_622_400;
/// Seconds that a telephone may ring for an instruction. Reference: events-and-callbacks, section 8.3 [doc].
pub const RING_SECONDS_MAX: u32 = 999;
