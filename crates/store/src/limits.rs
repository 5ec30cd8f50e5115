//! Every bound of the store, in one place.

/// Longest payload of one journal record (one turn of the engine).
pub const RECORD_BYTES_MAX: usize = 64 << 20;
/// Most records in one append.
pub const BATCH_RECORDS_MAX: usize = 16_384;
/// Most payload bytes in one append, records and outbox together.
pub const BATCH_BYTES_MAX: usize = 128 << 20;
/// Most outbox changes in one append.
pub const BATCH_OUTBOX_MAX: usize = 65_536;

/// Longest chunk of a snapshot.
pub const SNAPSHOT_CHUNK_BYTES_MAX: usize = 16 << 20;
/// Most chunks of one snapshot.
pub const SNAPSHOT_CHUNKS_MAX: u64 = 1 << 20;
/// Snapshots kept of each stream: the newest, and the one before it in case the newest is damaged.
pub const SNAPSHOTS_KEPT: usize = 2;

/// Longest payload of one history row.
pub const HISTORY_PAYLOAD_BYTES_MAX: usize = 4 << 20;
/// Most references of one history row.
pub const HISTORY_REFERENCES_MAX: usize = 64;
/// Most events on one page of history.
pub const HISTORY_PAGE_MAX: usize = 10_000;
/// Latest instant that a history row may carry, in the year 2248: identifiers are the instant shifted left by
/// [`HISTORY_COUNTER_BITS`], in 63 bits, and the last day is left for counters that run over.
pub const HISTORY_AT_MS_MAX: i64 = (i64::MAX >> HISTORY_COUNTER_BITS) - 86_400_000;
/// Bits of a history identifier below the millisecond.
pub const HISTORY_COUNTER_BITS: u32 = 20;
/// Events that the history looks through one by one for a sid, before it sorts them into its index.
pub const HISTORY_SID_RUN_EVENTS: usize = 8_192;
/// Tasks and reservations that the history looks through one by one for a sid, before it sorts them into an index.
pub const HISTORY_KEY_RUN_KEYS: usize = 8_192;
/// Numbers of things mentioned that the projection remembers before it forgets them all.
pub const HISTORY_KEYS_CACHED_MAX: usize = 262_144;
/// Events written together from which on they go to the disk bit by bit; fewer are small enough, and often awaited.
pub const HISTORY_TRICKLE_ROWS: usize = 256;
/// Pages of 4 KiB in the log of a day of the history after which they are brought into its file. The more there are,
/// the more of them are of the same page, which is written once then.
pub const HISTORY_LOG_PAGES: i64 = 16_000;

/// Longest payload of one delivery in the outbox.
pub const OUTBOX_PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Most deliveries or dead letters returned at once.
pub const OUTBOX_PAGE_MAX: usize = 10_000;

/// Longest key of the meta table.
pub const META_KEY_BYTES_MAX: usize = 128;
/// Longest value of the meta table.
pub const META_VALUE_BYTES_MAX: usize = 1 << 20;

/// Journal records deleted per transaction, so that appends are never held up for long.
pub const TRIM_SLICE_RECORDS: usize = 200;
/// Journal records that an append deletes while a trim is under way, or twice as many as it appends.
pub const TRIM_CARRIED_RECORDS: usize = 4;
/// Events, and entries of the index of what they mention, that are looked at per transaction when a workspace's events
/// go out of a day that others keep.
pub const REMOVAL_SLICE_ROWS: usize = 2_000;
/// Dead letters deleted per transaction, so that appends are never held up for long.
pub const DEAD_LETTERS_SLICE: usize = 500;
/// Idle read connections kept per database file.
pub const READERS_IDLE_MAX: usize = 4;
/// Journal records read by a check between two reports of progress.
pub const CHECK_RECORDS: usize = 1_000;
/// Events read by a check between two reports of progress.
pub const CHECK_PROGRESS_ROWS: u64 = 10_000;
/// Missing days of the history that a message names beside the first one.
pub const DAYS_NAMED_MAX: usize = 40;
/// Entries of damage that one check lists before it stops listing.
pub const DAMAGE_LISTED_MAX: usize = 1_000;

/// Longest chunk of a back-up.
pub const BACKUP_CHUNK_BYTES_MAX: usize = 1 << 20;
/// Longest name of a file in a back-up.
pub const BACKUP_NAME_BYTES_MAX: usize = 128;
/// Times that a back-up begins again because the server has dropped what it was about to read.
pub const BACKUP_ATTEMPTS_MAX: u32 = 5;
/// Pages of a database copied between two reports of progress.
pub const BACKUP_PAGES_PER_STEP: i32 = 4_096;
