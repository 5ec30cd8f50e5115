//! A server in this process, on a free port, with a store in memory and real HTTP.

mod callbacks;
mod clock;
mod commits;
mod dead_letters;
mod event_streams;
mod requests;
mod restarts;
mod retention;
mod support;
