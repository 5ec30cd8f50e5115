//! `/2010-04-01/Accounts/{AccountSid}/Keys`: API keys, as the SDKs ask for them. Reference: extensions, section 7.

use std::sync::Arc;

use pointsman_engine::Timestamp;
use pointsman_engine::accounts::KeyRecord;

use crate::account::AccountCall;
use crate::dates;
use crate::json;
use crate::parameters::{Param, optional_name};
use crate::table::{Context, Method, Mount, NamedBy, Resource, Scalar, Shape, account, field};

pub(crate) const CREATE_KEY_NAME: Param<Arc<str>> = optional_name("FriendlyName", "Name, up to 64 characters.");
pub(crate) const UPDATE_KEY_NAME: Param<Arc<str>> = optional_name("FriendlyName", "New name.");

pub static KEY: Resource<KeyRecord> = Resource {
    name: "Key",
    schema: "api.v2010.account.key",
    doc: "An API key of the account. Its secret is shown once, at creation.",
    fields: &[
        field("sid", Shape::Sid("SK"), "Identifier of the key, the user name of its requests.", |key, _| {
            key.sid.into()
        }),
        field("friendly_name", Shape::Text, "Its name.", |key, _| (&*key.friendly_name).into()),
        field("date_created", Shape::Text, "When it was created, as RFC 2822.", |key, _| rfc2822(key.date_created)),
        field("date_updated", Shape::Text, "When it was last renamed, as RFC 2822.", |key, _| {
            rfc2822(key.date_updated)
        }),
    ],
    version: None,
    named_by: NamedBy::Sid,
    mounts: &[
        Mount {
            path: "/2010-04-01/Accounts/{AccountSid}/Keys.json",
            list_key: "keys",
            find: |_, _| None,
            operations: &[
                account("ListKey", "Lists the keys of the account.", Method::Get, &[], AccountCall::ListKeys),
                account("CreateNewKey", "Adds a key.", Method::Post, &[CREATE_KEY_NAME.spec], AccountCall::CreateKey),
            ],
        },
        Mount {
            path: "/2010-04-01/Accounts/{AccountSid}/Keys/{Sid}.json",
            list_key: "",
            find: |_, _| None,
            operations: &[
                account("FetchKey", "Returns one key.", Method::Get, &[], AccountCall::FetchKey),
                account("UpdateKey", "Renames a key.", Method::Post, &[UPDATE_KEY_NAME.spec], AccountCall::UpdateKey),
                account("DeleteKey", "Deletes a key.", Method::Delete, &[], AccountCall::DeleteKey),
            ],
        },
    ],
};

fn rfc2822(at: Timestamp) -> Scalar<'static> {
    Scalar::Json(format!("\"{}\"", dates::format_rfc2822(at)))
}

/// The JSON of a key; the secret only in the answer to its creation.
pub(crate) fn render_key(key: &KeyRecord, secret: Option<&str>) -> String {
    let mut out = String::new();
    KEY.render(&mut out, key, &Context::without_workspace(key.account));
    if let Some(secret) = secret {
        out.pop();
        out.push_str(",\"secret\":");
        json::text(&mut out, secret);
        out.push('}');
    }
    out
}
