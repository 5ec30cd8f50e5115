//! Every bound of the server, in one place.

/// Most threads that run workspaces.
pub const ENGINE_THREADS_MAX: u32 = 256;
/// Most threads that run workspaces when their number is not set.
pub const ENGINE_THREADS_DEFAULT_MAX: u32 = 16;
