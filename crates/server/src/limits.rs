//! Every bound of the server, in one place.

use std::time::Duration;

use pointsman_engine::Timestamp;

/// Most threads that run workspaces.
pub const ENGINE_THREADS_MAX: u32 = 256;
/// Most threads that run workspaces when their number is not set.
pub const ENGINE_THREADS_DEFAULT_MAX: usize = 16;

/// Requests that may wait for one engine thread; further ones are answered 429.
pub const REQUESTS_WAITING_MAX: usize = 4_096;
/// Inputs that an engine thread runs before it hands its batch on.
pub const INPUTS_PER_BATCH_MAX: usize = 512;
/// Batches that may wait for the commit thread; engine threads wait when there are more.
pub const BATCHES_WAITING_MAX: usize = 64;
/// A commit takes no further batch when it holds so many records, payload bytes or outbox changes.
pub const COMMIT_RECORDS: usize = 4_096;
pub const COMMIT_BYTES: usize = 16 << 20;
pub const COMMIT_OUTBOX: usize = 8_192;
/// Commits, and events in them, that may wait for the projector in memory; it reads later ones from the store.
pub const PROJECTIONS_WAITING_MAX: usize = 16_384;
pub const PROJECTED_EVENTS_WAITING_MAX: usize = 200_000;
/// Events after which the projector writes what it has.
pub const PROJECTED_ROWS: usize = 16_384;
/// How long an event waits for others before it is written, unless somebody asks for it.
pub const PROJECTION_DELAY: Duration = Duration::from_millis(250);
/// An engine thread that never rests looks for due timers this often.
pub const TICK_INTERVAL: Duration = Duration::from_millis(10);
/// By how much the server's time must be ahead of the system's to be worth a line in the log.
pub const CLOCK_AHEAD_TOLD: Duration = Duration::from_secs(1);
/// Pause between attempts to write again after a failed commit.
pub const RECOVERY_PAUSE: Duration = Duration::from_secs(1);
/// What must fit into the store before a server whose commit has failed writes again.
pub const PROBE_BYTES: usize = 256 << 10;
/// Panics of one engine thread after which the process gives up.
pub const PANICS_MAX: u32 = 8;

/// Deliveries in memory, beside a few of each Workspace and urgency; further ones wait in the store.
pub const DELIVERIES_IN_MEMORY_MAX: usize = 20_000;
/// One Workspace may have at most one more of each urgency than this part of what is free.
pub const PARTY_SHARE: usize = 8;
/// One lane of them, that is, one address, at most one more than this part of what is free of that.
pub const LANE_SHARE: usize = 2;
/// Lanes of one Workspace and urgency that may have a delivery in memory even so.
pub const LANES_IN_MEMORY_MAX: usize = 1_000;
/// Lanes looked at for room before others get their turn.
pub const LANES_LOOKED_AT: usize = 256;
/// Pages read before others get their turn.
pub const DELIVERY_PAGES_AT_ONCE: usize = 4;
/// Deliveries of which is remembered that their end is with the engine.
pub const DELIVERIES_TOLD_MAX: usize = 4_096;
/// Deliveries read from the store at once.
pub const DELIVERIES_PAGE: usize = 1_000;
/// Fewest read at once, so that those that are in memory already do not take a reading each.
pub const DELIVERIES_PAGE_MIN: usize = 64;
/// Messages that may wait for the delivery task; deliveries beyond it are read from the store.
pub const DELIVERY_MESSAGES_MAX: usize = 4_096;
/// The log says of a receiver that goes on failing one line in so much time, and keeps account of so many receivers.
pub const FAILING_LINE_INTERVAL: Duration = Duration::from_secs(60);
pub const FAILING_RECEIVERS_MAX: usize = 1_000;
/// One that has not failed for so long makes room for another; longer than any pause of a guaranteed callback.
pub const FAILING_SILENCE: Duration = Duration::from_secs(600);
/// Dead letters that a list looks at for one page, and reads at once.
pub const DEAD_LETTERS_LOOKED_AT_MAX: usize = 10_000;
pub const DEAD_LETTERS_PIECE: usize = 500;
/// Dead letters that one call replays, and makes wait again in one commit. Reference: extensions, section 10.
pub const REPLAYED_MAX: u64 = 10_000;
pub const REPLAY_PIECE: usize = 500;
/// Calls that replay dead letters at the same time; those of one Workspace never do.
pub const REPLAYS_MAX: usize = 32;
/// Time-outs for connections of the clients that callbacks go over, each of which serves those that ask for less; the
/// last is the most that an address may ask for. Reference: events and callbacks, section 12.3.
pub const CONNECT_TIMEOUT_STEPS_MS: [u32; 6] = [250, 500, 1_000, 2_000, 5_000, 10_000];

/// Bytes of the head of a request.
pub const REQUEST_HEAD_BYTES_MAX: usize = 128 << 10;
/// Header lines of a request that the HTTP parser takes: a few more than are allowed, so that there is a proper answer.
pub const REQUEST_HEADERS_MAX: usize = 200;
/// A connection on which no request begins, or whose request's head does not arrive, is closed after this.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Time for the body of a request to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for an answer; beyond it the client hears 503, though what was accepted is still carried out.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for answers out of the event history while the store takes no writes: what is missing there stays missing.
pub const HISTORY_TIMEOUT_FROZEN: Duration = Duration::from_millis(200);
/// Rate limit counters kept; beyond it the oldest second is forgotten.
pub const RATE_COUNTERS_MAX: usize = 100_000;

/// The end of the year 2200: timers and the history reach beyond it, so that nothing of a Task ends after what they hold.
pub const CLOCK_MAX: Timestamp = Timestamp(7_289_654_399_999);
/// Characters of a path that a line of the log shows.
pub const PATH_CHARS_LOGGED: usize = 256;
/// Real time to wait for quiet. Reference: extensions, section 2.
pub const QUIET_TIMEOUT: Duration = Duration::from_secs(300);

/// Time for accepted requests to be answered when the server stops.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);
/// Time for callbacks under way to end when the server stops; the rest is sent after the next start.
pub const DELIVERY_DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for those who read the store to end when the server stops: it cannot be closed before.
pub const STORE_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Event streams open at the same time, in all and of one account. Reference: extensions, section 9.
pub const EVENT_STREAMS_MAX: usize = 1_024;
pub const EVENT_STREAMS_PER_ACCOUNT_MAX: usize = 128;
/// Events that a stream reads at once, and bytes after which it hands over what it has of them.
pub const EVENT_STREAM_PAGE: usize = 64;
pub const EVENT_STREAM_FRAME_BYTES: usize = 32 << 10;
/// A stream looks for something new no more often: with the projection's delay a new event is shown within about a
/// quarter of a second all the same.
pub const EVENT_STREAM_INTERVAL: Duration = Duration::from_millis(100);
/// A stream that has nothing to say shows that it lives this often.
pub const EVENT_STREAM_HEART_BEAT: Duration = Duration::from_secs(10);
/// Time for open streams to be closed when the server stops.
pub const EVENT_STREAM_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// A connection whose peer takes nothing of an answer for so long is closed.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Connections to receivers of callbacks that wait for the next one; Node, for one, closes them after 5 s.
pub const CALLBACK_IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long after its last answer a request to a receiver may still go over a connection that was kept.
pub const CALLBACK_KEPT_MAX: Duration = Duration::from_secs(5);
/// Receivers of which is remembered when they answered last.
pub const CALLBACK_RECEIVERS_MAX: usize = 10_000;
/// As many as a receiver of a Workspace has places: after a burst none of them is closed to be opened again.
pub const CALLBACK_IDLE_PER_HOST_MAX: usize = 32;
/// Names of receivers that are looked up at the same time, abandoned lookups included: so many of what routing waits
/// for, and so many of the rest. Each has a thread.
pub const LOOKUPS_MAX: usize = 256;
/// One account may have this part of the free places and one more, one of its Workspaces this part of what is left to
/// the account and one more.
pub const LOOKUPS_SHARE_OF_ACCOUNT: usize = 2;
pub const LOOKUPS_SHARE_OF_WORKSPACE: usize = 4;
/// Pause after a callback for which no file of the server was free.
pub const CALLBACK_FILES_PAUSE: Duration = Duration::from_millis(250);
/// Files that the store has open: days of the event history with their logs for the most part.
pub const STORE_FILES: usize = 256;
/// Pause after a connection could not be accepted.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Workspaces whose events have a retention of their own.
pub const RETENTION_WORKSPACES_MAX: usize = 10_000;
/// How often the maintenance thread looks for something to do.
pub const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);
/// Of how much time snapshots take one part: a snapshot of much costs much, however little has changed since the last.
pub const SNAPSHOT_SHARE: u32 = 10;
/// Connections open at the same time to a listener for metrics alone.
pub const METRICS_CONNECTIONS_MAX: usize = 64;
/// Bytes of a body that is too large which are read and thrown away before the connection is closed.
pub const BODY_BYTES_DISCARDED_MAX: usize = 64 << 20;
/// How long the delivery task sleeps when nothing happens.
pub(crate) const DELIVERY_IDLE: Duration = Duration::from_secs(60);

/// Warnings or errors of one kind that are written to the log in a period; more are counted.
pub const LOG_LINES_MAX: u32 = 600;
pub const LOG_LINES_PERIOD: Duration = Duration::from_secs(60);
