//! `/` and `/v1`: where to begin. Reference: rest-contract, section 1.1.

use crate::account::AccountCall;
use crate::table::{Method, Mount, NamedBy, Resource, account, link, links};

const DOC: &str = "Tells where the Workspaces are.";

/// There is nothing behind it but its links.
#[derive(Debug)]
pub enum Index {}

pub static INDEX: Resource<Index> = Resource {
    name: "Index",
    schema: "taskrouter.v1.index",
    doc: "Where to begin.",
    fields: &[links(&[link("workspaces", "/v1/Workspaces")])],
    version: None,
    named_by: NamedBy::Sid,
    mounts: &[
        Mount {
            path: "/",
            list_key: "",
            find: |_, _| None,
            operations: &[account("FetchIndex", DOC, Method::Get, &[], AccountCall::Index)],
        },
        Mount {
            path: "/v1",
            list_key: "",
            find: |_, _| None,
            operations: &[account("FetchVersion", DOC, Method::Get, &[], AccountCall::Index)],
        },
    ],
};
