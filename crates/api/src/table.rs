//! The vocabulary of the tables: resources, fields, mounts, operations. Everything else reads them: routing, parsing,
//! rendering, pages, the OpenAPI document, the reference pages, the command line.
//!
//! | piece | says |
//! | --- | --- |
//! | [`Resource`] | name, fields in TaskRouter's order, where it is mounted |
//! | [`Field`] | a member of the JSON object, its shape, how it is read from the entity |
//! | [`Mount`] | a path, how the objects that it names are found, what can be done there |
//! | [`Operation`] | the official operation id, the method, the parameters, the function that assembles the command |

use pointsman_engine::{Account, Command, Entity, Sid, State, Timestamp, Version, Workspace};

use crate::account::AccountCall;
use crate::dates;
use crate::errors::ApiError;
use crate::execute::{Instructed, Outcome};
use crate::json;
use crate::parameters::Spec;
use crate::request::Request;
use crate::target::Target;

/// A kind of object that the API shows.
#[derive(Debug)]
pub struct Resource<E: 'static> {
    /// As in the class names of the SDKs.
    pub name: &'static str,
    /// Name of its schema in the official OpenAPI.
    pub schema: &'static str,
    pub doc: &'static str,
    pub fields: &'static [Field<E>],
    /// The version in its `ETag`, if it has one.
    pub version: Option<fn(&E) -> Version>,
    /// What `{Sid}` in its paths takes.
    pub named_by: NamedBy,
    pub mounts: &'static [Mount],
}

/// What names an object in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    Sid,
    /// Its SID, or the unique name of a TaskChannel.
    SidOrName,
}

/// A member of a resource.
#[derive(Debug)]
pub struct Field<E: 'static> {
    pub property: Property,
    pub source: Source<E>,
}

/// What documents need to know of a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Property {
    pub name: &'static str,
    pub shape: Shape,
    pub doc: &'static str,
}

/// Type and format of a member, as the official schema has them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// A SID with this prefix; empty is any prefix.
    Sid(&'static str),
    Text,
    Bool,
    Integer,
    BigInteger,
    Date,
    Url,
    Links,
    Words(&'static [&'static str]),
    /// Untyped in the schema.
    Any,
    Array,
}

/// Where the value of a member comes from.
#[derive(Debug)]
pub enum Source<E: 'static> {
    Read(for<'a> fn(&'a E, &'a Context<'a>) -> Scalar<'a>),
    /// A path in which `{name}` stands for the value of that member.
    Url(&'static str),
    Links(&'static [Link]),
}

// Derived implementations would ask the same of `E`, which only says what is read.
impl<E> Clone for Field<E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for Field<E> {}
impl<E> Clone for Source<E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for Source<E> {}

/// A related resource. Left out when a member that its path names is null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub name: &'static str,
    pub path: &'static str,
}

/// A value on its way into JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Text(&'a str),
    Sid(&'static str, [u8; 16]),
    Date(Timestamp),
    /// JSON already.
    Json(String),
}

/// What a member is read with besides its entity.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Scheme and host.
    pub base_url: &'a str,
    pub account: Sid<Account>,
    pub workspace: Sid<Workspace>,
    pub now: Timestamp,
    state: Option<&'a State>,
}

/// A path and what can be done there.
#[derive(Debug)]
pub struct Mount {
    /// With `{Name}` for each variable segment.
    pub path: &'static str,
    /// Member of the envelope that holds the list; empty where there is no list.
    pub list_key: &'static str,
    /// Finds what the path names, given its variable segments after the Workspace.
    pub find: fn(&State, &[String]) -> Option<Target>,
    pub operations: &'static [Operation],
}

/// Something that can be done at a mount.
#[derive(Debug)]
pub struct Operation {
    /// The official operation id.
    pub id: &'static str,
    pub doc: &'static str,
    pub method: Method,
    pub specs: &'static [Spec],
    pub run: Run,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Get,
    Post,
    Delete,
}

/// How an operation is carried out.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// Outside of any Workspace.
    Account(AccountCall),
    Fetch,
    List(fn(&Request<'_>) -> Result<Outcome, ApiError>),
    /// Reads that are neither a fetch nor a list of the state's objects.
    Read(fn(&Request<'_>) -> Result<Outcome, ApiError>),
    Create(fn(&Request<'_>) -> Result<Command, ApiError>),
    Update(fn(&Request<'_>) -> Result<Change, ApiError>),
    Delete(fn(&Request<'_>) -> Command),
    /// A POST that the server carries out beside the state.
    Serve(fn(&Request<'_>) -> Result<Outcome, ApiError>),
    /// A GET whose answer goes on, event by event.
    Stream(fn(&Request<'_>) -> Result<Outcome, ApiError>),
}

/// What an update asks for.
#[derive(Debug)]
pub enum Change {
    /// Nothing: the answer shows the object as it is.
    None,
    Command(Command),
    /// An assignment instruction that needs telephony.
    Instruct(Box<Instructed>),
}

impl From<Command> for Change {
    fn from(command: Command) -> Self {
        Self::Command(command)
    }
}

impl Method {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl Mount {
    /// It is none of TaskRouter's: parameters are taken strictly and JSON is taken too (reference: extensions, section 1).
    pub fn is_extension(&self) -> bool {
        self.path.starts_with(EXTENSIONS)
    }
}

/// What the paths of extensions begin with.
pub const EXTENSIONS: &str = "/pointsman/v1/";

impl Operation {
    /// Declared parameters, those of paging included.
    pub fn all_specs(&self) -> impl Iterator<Item = &'static Spec> {
        let paging: &'static [Spec] = if self.is_list() { crate::page::SPECS } else { &[] };
        self.specs.iter().chain(paging)
    }

    pub const fn is_list(&self) -> bool {
        matches!(self.run, Run::List(_) | Run::Account(AccountCall::ListWorkspaces | AccountCall::ListKeys))
    }

    /// The verb in the key of a rate limit (reference: rest-contract, section 10.4).
    pub const fn verb(&self) -> &'static str {
        match (self.run, self.method) {
            (_, Method::Delete) => "Delete",
            (Run::List(_) | Run::Account(AccountCall::ListWorkspaces | AccountCall::ListKeys), _) => "List",
            (Run::Update(_) | Run::Account(AccountCall::UpdateKey), _) => "Update",
            (_, Method::Post) => "Create",
            (_, Method::Get) => "Fetch",
        }
    }
}

/// A member that is read from the entity.
pub const fn field<E>(
    name: &'static str,
    shape: Shape,
    doc: &'static str,
    read: for<'a> fn(&'a E, &'a Context<'a>) -> Scalar<'a>,
) -> Field<E> {
    Field { property: Property { name, shape, doc }, source: Source::Read(read) }
}

/// The member `url`: the absolute address of the resource.
pub const fn url<E>(path: &'static str) -> Field<E> {
    Field {
        property: Property { name: "url", shape: Shape::Url, doc: "Absolute URL of the resource." },
        source: Source::Url(path),
    }
}

/// Another member that holds an absolute address.
pub const fn url_field<E>(name: &'static str, doc: &'static str, path: &'static str) -> Field<E> {
    Field { property: Property { name, shape: Shape::Url, doc }, source: Source::Url(path) }
}

/// The member `links`.
pub const fn links<E>(links: &'static [Link]) -> Field<E> {
    Field {
        property: Property { name: "links", shape: Shape::Links, doc: "URLs of related resources." },
        source: Source::Links(links),
    }
}

pub const fn link(name: &'static str, path: &'static str) -> Link {
    Link { name, path }
}

pub const fn create(
    id: &'static str,
    doc: &'static str,
    specs: &'static [Spec],
    run: fn(&Request<'_>) -> Result<Command, ApiError>,
) -> Operation {
    Operation { id, doc, method: Method::Post, specs, run: Run::Create(run) }
}

pub const fn list(
    id: &'static str,
    doc: &'static str,
    specs: &'static [Spec],
    run: fn(&Request<'_>) -> Result<Outcome, ApiError>,
) -> Operation {
    Operation { id, doc, method: Method::Get, specs, run: Run::List(run) }
}

pub const fn fetch(id: &'static str, doc: &'static str) -> Operation {
    Operation { id, doc, method: Method::Get, specs: &[], run: Run::Fetch }
}

pub const fn read(
    id: &'static str,
    doc: &'static str,
    specs: &'static [Spec],
    run: fn(&Request<'_>) -> Result<Outcome, ApiError>,
) -> Operation {
    Operation { id, doc, method: Method::Get, specs, run: Run::Read(run) }
}

/// A POST that the server carries out beside the state.
pub const fn serve(
    id: &'static str,
    doc: &'static str,
    specs: &'static [Spec],
    run: fn(&Request<'_>) -> Result<Outcome, ApiError>,
) -> Operation {
    Operation { id, doc, method: Method::Post, specs, run: Run::Serve(run) }
}

/// A GET whose answer goes on.
pub const fn stream(
    id: &'static str,
    doc: &'static str,
    specs: &'static [Spec],
    run: fn(&Request<'_>) -> Result<Outcome, ApiError>,
) -> Operation {
    Operation { id, doc, method: Method::Get, specs, run: Run::Stream(run) }
}

pub const fn update(
    id: &'static str,
    doc: &'static str,
    specs: &'static [Spec],
    run: fn(&Request<'_>) -> Result<Change, ApiError>,
) -> Operation {
    Operation { id, doc, method: Method::Post, specs, run: Run::Update(run) }
}

pub const fn delete(id: &'static str, doc: &'static str, run: fn(&Request<'_>) -> Command) -> Operation {
    Operation { id, doc, method: Method::Delete, specs: &[], run: Run::Delete(run) }
}

/// An operation outside of any Workspace.
pub const fn account(
    id: &'static str,
    doc: &'static str,
    method: Method,
    specs: &'static [Spec],
    call: AccountCall,
) -> Operation {
    Operation { id, doc, method, specs, run: Run::Account(call) }
}

/// What the tables say of a resource, whatever its entity is.
pub trait Described: Sync {
    fn name(&self) -> &'static str;
    fn schema(&self) -> &'static str;
    fn doc(&self) -> &'static str;
    fn properties(&self) -> Vec<Property>;
    fn links(&self) -> &'static [Link];
    fn is_versioned(&self) -> bool;
    fn named_by(&self) -> NamedBy;
    fn mounts(&self) -> &'static [Mount];
}

impl<E> Described for Resource<E> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self) -> &'static str {
        self.schema
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn properties(&self) -> Vec<Property> {
        self.fields.iter().map(|field| field.property).collect()
    }

    fn links(&self) -> &'static [Link] {
        let mut links = self.fields.iter().filter_map(|field| match field.source {
            Source::Links(links) => Some(links),
            Source::Read(_) | Source::Url(_) => None,
        });
        links.next().unwrap_or_default()
    }

    fn is_versioned(&self) -> bool {
        self.version.is_some()
    }

    fn named_by(&self) -> NamedBy {
        self.named_by
    }

    fn mounts(&self) -> &'static [Mount] {
        self.mounts
    }
}

impl<E> Resource<E> {
    /// Writes one object. Members stand in the order of the table.
    pub fn render(&self, out: &mut String, entity: &E, context: &Context<'_>) {
        render_members(out, self.fields, |out, field| match field.source {
            Source::Read(read) => read(entity, context).write(out),
            Source::Url(path) => self.write_url(out, entity, context, path),
            Source::Links(links) => self.write_links(out, entity, context, links),
        });
    }

    fn write_links(&self, out: &mut String, entity: &E, context: &Context<'_>, links: &[Link]) {
        let start = out.len();
        for link in links {
            let before = out.len();
            out.push_str(if before == start { "{\"" } else { ",\"" });
            out.push_str(link.name);
            out.push_str("\":\"");
            if self.write_path(out, entity, context, link.path) {
                out.push('"');
            } else {
                out.truncate(before);
            }
        }
        out.push_str(if out.len() == start { "{}" } else { "}" });
    }

    fn write_url(&self, out: &mut String, entity: &E, context: &Context<'_>, path: &str) {
        out.push('"');
        let whole = self.write_path(out, entity, context, path);
        assert!(whole, "the path of a resource names only members that are never null");
        out.push('"');
    }

    /// Writes base URL and path; false when a member in it is null.
    fn write_path(&self, out: &mut String, entity: &E, context: &Context<'_>, path: &str) -> bool {
        out.push_str(context.base_url);
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let (name, after) = after.split_once('}').expect("every brace of a path is closed");
            rest = after;
            if name == "workspace_sid" {
                write_sid(out, Workspace::PREFIX, context.workspace.bytes());
                continue;
            }
            let mut fields = self.fields.iter().filter(|field| field.property.name == name);
            let Some(Field { source: Source::Read(read), .. }) = fields.next() else {
                unreachable!("{path} names a member of {} that is read from the entity", self.name)
            };
            match read(entity, context) {
                Scalar::Null => return false,
                Scalar::Sid(prefix, bytes) => write_sid(out, prefix, bytes),
                Scalar::Text(text) => out.push_str(text),
                other => unreachable!("{name} of {} stands in a path: {other:?}", self.name),
            }
        }
        out.push_str(rest);
        true
    }
}

fn render_members<E>(out: &mut String, fields: &[Field<E>], mut write: impl FnMut(&mut String, &Field<E>)) {
    for (index, field) in fields.iter().enumerate() {
        out.push_str(if index == 0 { "{\"" } else { ",\"" });
        out.push_str(field.property.name);
        out.push_str("\":");
        write(out, field);
    }
    out.push('}');
}

/// Writes an object within an object, of members that are read from the same entity.
pub(crate) fn render_nested<E>(out: &mut String, fields: &[Field<E>], entity: &E, context: &Context<'_>) {
    render_members(out, fields, |out, field| match field.source {
        Source::Read(read) => read(entity, context).write(out),
        Source::Url(_) | Source::Links(_) => unreachable!("nested members have no addresses"),
    });
}

/// Puts groups of members together.
pub(crate) const fn join<E, const N: usize>(groups: &[&[Field<E>]]) -> [Field<E>; N] {
    let mut all = [groups[0][0]; N];
    let (mut count, mut group) = (0, 0);
    while group < groups.len() {
        let mut member = 0;
        while member < groups[group].len() {
            all[count] = groups[group][member];
            member += 1;
            count += 1;
        }
        group += 1;
    }
    assert!(count == N, "N is the number of all members");
    all
}

impl Scalar<'_> {
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Integer(number) => json::integer(out, *number),
            Self::Text(text) => json::text(out, text),
            Self::Sid(prefix, bytes) => {
                out.push('"');
                write_sid(out, prefix, *bytes);
                out.push('"');
            }
            Self::Date(at) => {
                out.push('"');
                dates::write(out, *at);
                out.push('"');
            }
            Self::Json(json) => out.push_str(json),
        }
    }
}

/// Writes a SID without going through the formatting machinery: most of an answer's bytes are SIDs.
pub(crate) fn write_sid(out: &mut String, prefix: &str, bytes: [u8; 16]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    out.push_str(prefix);
    out.push_str(std::str::from_utf8(&text).expect("hexadecimal digits are ASCII"));
}

impl<E: Entity> From<Sid<E>> for Scalar<'_> {
    fn from(sid: Sid<E>) -> Self {
        Self::Sid(E::PREFIX, sid.bytes())
    }
}

impl<'a> From<&'a str> for Scalar<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Scalar<'_> {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<u32> for Scalar<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl From<i64> for Scalar<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<Timestamp> for Scalar<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Date(at)
    }
}

impl<'a, T: Into<Scalar<'a>>> From<Option<T>> for Scalar<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<'a> Context<'a> {
    /// For what is rendered out of a state.
    pub fn of(state: &'a State, base_url: &'a str) -> Self {
        let workspace = state.workspace();
        Self { base_url, account: workspace.account, workspace: workspace.sid, now: state.now(), state: Some(state) }
    }

    /// For what is rendered later, when the state has moved on: events and statistics.
    pub fn without_state(base_url: &'a str, account: Sid<Account>, workspace: Sid<Workspace>, now: Timestamp) -> Self {
        Self { base_url, account, workspace, now, state: None }
    }

    /// For what belongs to the account itself.
    pub fn without_workspace(account: Sid<Account>) -> Self {
        Self { base_url: "", account, workspace: Sid::from_bytes([0; 16]), now: Timestamp(0), state: None }
    }

    pub fn state(&self) -> &'a State {
        self.state.expect("members of events and statistics read no state")
    }
}
