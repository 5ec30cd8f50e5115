//! Attribute values and the expression language. Reference: routing, section 1.
#![no_std]
extern crate alloc;
