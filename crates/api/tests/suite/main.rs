//! Requests and answers against a real engine, with fixed seed and time.

mod accounts;
mod conditions;
mod golden;
mod pages;
mod properties;
mod reference;
mod statistics;
mod world;
