//! Every bound of the dispatcher.

/// Callbacks under way at the same time, over all Workspaces: so many of those that routing waits for, and so many of
/// the others.
pub const ATTEMPTS_MAX: usize = 512;
/// A Workspace gets at most one more than this part of the places that are free: a third of all when it is alone. The
/// fuller it gets, the less, so that places are left for others: a Workspace with nothing under way waits for one only
/// when hundreds of receivers of each of fourteen others begin to hang one after the other, and then at most the 15 s that
/// one attempt takes.
pub const FREE_PLACES_PER_WORKSPACE: usize = 2;
/// Callbacks of one Workspace to one receiver under way at the same time, while there are places enough; and at most one
/// more than this part of the places that are free.
pub const ATTEMPTS_PER_LANE_MAX: usize = 32;
pub const FREE_PLACES_PER_LANE: usize = 8;
/// Time for an assignment callback, and again for its fallback (reference: events-and-callbacks, section 7.2).
pub const ASSIGNMENT_TIMEOUT_MS: u32 = 5_000;
/// First and longest bound of the pause after a failed callback that is guaranteed (section 6).
pub const BACK_OFF_MS_FIRST: u64 = 1_000;
pub const BACK_OFF_MS_MAX: u64 = 300_000;
/// Seconds that a Worker's call rings unless the instruction says otherwise, and the longest that the voice API allows
/// (sections 8.3 and 11.3).
pub const RING_SECONDS_DEFAULT: i64 = 60;
pub const VOICE_RING_SECONDS_MAX: i64 = 600;
/// The shortest that it takes for a participant of a conference.
pub const PARTICIPANT_RING_SECONDS_MIN: i64 = 5;
/// How often a caller is moved: once, and twice more when the voice API fails or cannot be reached, within 15 s in all
/// (reference: events-and-callbacks, section 12.3). One that only does not answer may have moved the caller, who would be
/// taken out of the conversation by a second request; so may one whose answer a gateway waits for (502 and 504).
pub const MOVE_OVERRIDES: &str = "rc=2&rp=5xx,ct";
/// How often a call is hung up: that it is over already does no harm.
pub const HANG_UP_OVERRIDES: &str = "rt=7000&rc=2&rp=5xx,ct,rt";
/// Characters of TwiML that the voice API takes with a request (reference: events-and-callbacks, section 11.3).
pub const TWIML_CHARS_MAX: usize = 4_000;
/// Bytes read of an assignment callback's answer (section 12.4).
pub const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Characters of a message of the voice API that go into the log, and into the reason of a Task; and of what the log
/// says of an application's answer.
pub const REASON_CHARS_MAX: usize = 200;
/// Lines about connection overrides without effect that an engine thread remembers, so as not to repeat them.
pub const OVERRIDES_TOLD_MAX: usize = 1_000;

/// For how long a call that comes in again is the same call, and gets no second Task.
pub const ENQUEUE_AGAIN_MS: i64 = 60_000;
