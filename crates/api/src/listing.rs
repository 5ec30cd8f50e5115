//! Lists of what the state holds: which records are on a page, in which order. Reference: rest-contract, section 3.

use pointsman_engine::{Activity, Entity, Id, Sid, State, Task, TaskChannel, TaskQueue, Timestamp, Worker, Workflow};

use crate::errors::{self, ApiError};
use crate::execute::Outcome;
use crate::json;
use crate::page::{self, Direction, Edge, Edges, Page};
use crate::request::Request;
use crate::table::{Context, Resource};

/// Something that lists show in creation order.
pub(crate) trait Listed: Entity + Sized + 'static {
    fn number(&self) -> u64;
    fn sid_of(&self) -> Sid<Self>;
    fn find(state: &State, sid: Sid<Self>) -> Option<&Self>;
    /// Live ones from a place on; those before a place come latest first.
    fn rows(state: &State, from: From) -> Box<dyn Iterator<Item = &Self> + '_>;
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    Start,
    After(u64),
    Before(u64),
}

/// The tables of the state are all alike.
macro_rules! listed {
    ($($entity:ident, $find:ident, $all:ident, $after:ident, $before:ident;)*) => {
        $(impl Listed for $entity {
            fn number(&self) -> u64 {
                self.id.number()
            }

            fn sid_of(&self) -> Sid<Self> {
                self.sid
            }

            fn find(state: &State, sid: Sid<Self>) -> Option<&Self> {
                state.$find(sid)
            }

            fn rows(state: &State, from: From) -> Box<dyn Iterator<Item = &Self> + '_> {
                match from {
                    From::Start => Box::new(state.$all()),
                    From::After(number) => Box::new(state.$after(Id::new(number))),
                    From::Before(number) => Box::new(state.$before(Id::new(number)).rev()),
                }
            }
        })*
    };
}

listed! {
    Activity, find_activity, activities, activities_after, activities_before;
    TaskChannel, find_task_channel, task_channels, task_channels_after, task_channels_before;
    Worker, find_worker, workers, workers_after, workers_before;
    TaskQueue, find_task_queue, task_queues, task_queues_after, task_queues_before;
    Workflow, find_workflow, workflows, workflows_after, workflows_before;
    Task, find_task, tasks, tasks_after, tasks_before;
}

/// One page of records, and whether there are more on either side.
pub(crate) struct Slice<T> {
    pub(crate) records: Vec<T>,
    pub(crate) edges: Edges,
}

/// A key to sort by: a value of the record, and which end comes first.
#[derive(Clone, Copy)]
pub(crate) struct SortKey<E> {
    pub(crate) of: fn(&E) -> i64,
    pub(crate) descending: bool,
    /// Tells this key from the others of the table.
    mark: i64,
}

/// A page of a table of the state, in creation order or by `order`.
pub(crate) fn list<E: Listed>(
    request: &Request<'_>,
    resource: &Resource<E>,
    order: &[SortKey<E>],
    keep: impl Fn(&E) -> bool,
) -> Result<Outcome, ApiError> {
    let page = Page::of::<E>(request.call)?;
    let slice = if order.is_empty() {
        in_creation_order(request, &page, keep)?
    } else {
        // A token of another order means a place that this one does not have.
        let position_of_token = page.token.as_ref().and_then(|token| token.position.as_ref());
        if position_of_token.is_some_and(|position| position.first() != Some(&mark(order))) {
            return Err(Page::bad_token(request.call));
        }
        let record = |record: &E| Edge { sid: record.sid_of().bytes(), position: position(record, order) };
        let found = E::rows(request.state, From::Start).filter(|record| keep(record));
        let anchor = |sid| E::find(request.state, Sid::from_bytes(sid)).map(|found| position(found, order));
        sorted(request, &page, found.map(|found| (record(found), found)).collect(), order.len() + 2, anchor)?
    };
    Ok(answer::<E, E>(request, resource, &page, &slice))
}

/// Which order a position belongs to: the keys as digits, each with its direction.
fn mark<E>(order: &[SortKey<E>]) -> i64 {
    order.iter().fold(0, |mark, key| mark * 16 + key.mark)
}

fn position<E: Listed>(record: &E, order: &[SortKey<E>]) -> Vec<i64> {
    let keys = order.iter().map(|key| {
        let value = (key.of)(record);
        if key.descending { -value } else { value }
    });
    [mark(order)].into_iter().chain(keys).chain([record.number() as i64]).collect()
}

/// A page in creation order, found without looking at what stands before it.
pub(crate) fn in_creation_order<'a, E: Listed>(
    request: &Request<'a>,
    page: &Page,
    keep: impl Fn(&E) -> bool,
) -> Result<Slice<&'a E>, ApiError> {
    let state = request.state;
    let rows = |from| E::rows(state, from).filter(|record| keep(record));
    let from = match &page.token {
        None => From::Start,
        Some(token) => {
            let number = match token.position.as_deref() {
                Some([number]) => u64::try_from(*number).ok(),
                Some(_) => None,
                None => E::find(state, Sid::from_bytes(token.sid)).map(E::number),
            };
            let number = number.ok_or_else(|| Page::bad_token(request.call))?;
            match token.direction {
                Direction::After => From::After(number),
                Direction::Before => From::Before(number),
            }
        }
    };
    let mut records: Vec<&E> = rows(from).take(page.size).collect();
    if matches!(from, From::Before(_)) {
        records.reverse();
    }
    let edge = |record: &E| Edge { sid: record.sid_of().bytes(), position: vec![record.number() as i64] };
    let first = records
        .first()
        .filter(|first| !matches!(from, From::Start) && rows(From::Before(first.number())).next().is_some());
    let last = records.last().filter(|last| rows(From::After(last.number())).next().is_some());
    let edges = Edges { previous: first.map(|first| edge(first)), next: last.map(|last| edge(last)), interval: None };
    Ok(Slice { records, edges })
}

/// A page of records that had to be collected: each with its edge, in any order; they are sorted by position.
///
/// - `length`: values in a position; a token with another number of them belongs to another order.
/// - `anchor`: the position of the record that a token without position names.
pub(crate) fn sorted<T>(
    request: &Request<'_>,
    page: &Page,
    mut found: Vec<(Edge, T)>,
    length: usize,
    anchor: impl Fn([u8; 16]) -> Option<Vec<i64>>,
) -> Result<Slice<T>, ApiError> {
    let count = found.len();
    let mut backwards = false;
    if let Some(token) = &page.token {
        let position = token.position.clone().or_else(|| anchor(token.sid));
        let position = position.filter(|position| position.len() == length);
        let position = position.ok_or_else(|| Page::bad_token(request.call))?;
        backwards = token.direction == Direction::Before;
        found.retain(|(edge, _)| if backwards { edge.position < position } else { position < edge.position });
    }
    let passed = count - found.len();
    let more = page.size < found.len();
    // Only the page itself needs to be in order.
    if more {
        let order = |a: &(Edge, T), b: &(Edge, T)| a.0.position.cmp(&b.0.position);
        if backwards {
            found.select_nth_unstable_by(page.size, |a, b| order(b, a));
        } else {
            found.select_nth_unstable_by(page.size, order);
        }
        found.truncate(page.size);
    }
    found.sort_by(|a, b| a.0.position.cmp(&b.0.position));
    let (before, after) = if backwards { (more, 0 < passed) } else { (0 < passed, more) };
    let edges = Edges {
        previous: found.first().filter(|_| before).map(|(edge, _)| edge.clone()),
        next: found.last().filter(|_| after).map(|(edge, _)| edge.clone()),
        interval: None,
    };
    Ok(Slice { records: found.into_iter().map(|(_, record)| record).collect(), edges })
}

/// Renders a page. `E` lends its prefix to the tokens, `T` is what the resource shows.
pub(crate) fn answer<E: Entity, T>(
    request: &Request<'_>,
    resource: &Resource<T>,
    page: &Page,
    slice: &Slice<&T>,
) -> Outcome {
    let context = Context::of(request.state, &request.call.base_url);
    let mut items = String::with_capacity(64 + slice.records.len() * 1_024);
    json::array(&mut items, &slice.records, |out, record| resource.render(out, record, &context));
    let body = page::envelope(request.call, E::PREFIX, page, &items, &slice.edges);
    Outcome::Answer(page::answer(body, resource.version.is_some()))
}

/// An attribute that `Ordering` may name.
pub(crate) struct Orderable<E: 'static> {
    pub(crate) name: &'static str,
    pub(crate) of: fn(&E) -> i64,
}

/// Reads `Attribute:Order` pairs separated by commas (section 3.4).
///
/// - Names and directions in any case; unknown or doubled ones are refused, and so is a pair out of `exclusive`.
pub(crate) fn ordering<E>(
    text: Option<&str>,
    known: &[Orderable<E>],
    exclusive: &[&str],
) -> Result<Vec<SortKey<E>>, ApiError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let refuse = |problem: &str| ApiError::new(&errors::ORDERING, &[("value", &text), ("problem", &problem)]);
    let names = || known.iter().map(|orderable| orderable.name).collect::<Vec<_>>().join(", ");
    let mut keys = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    for pair in text.split(',') {
        let (attribute, direction) = pair.split_once(':').unwrap_or((pair, ""));
        let (attribute, direction) = (attribute.trim(), direction.trim());
        let named = |orderable: &Orderable<E>| orderable.name.eq_ignore_ascii_case(attribute);
        let Some(index) = known.iter().position(named) else {
            return Err(refuse(&format!("unknown attribute '{attribute}', expected {}", names())));
        };
        let orderable = &known[index];
        let descending = match direction {
            direction if direction.eq_ignore_ascii_case("asc") => false,
            direction if direction.eq_ignore_ascii_case("desc") => true,
            "" => return Err(refuse(&format!("{} has no direction, expected asc or desc", orderable.name))),
            direction => return Err(refuse(&format!("unknown direction '{direction}', expected asc or desc"))),
        };
        if used.contains(&orderable.name) {
            return Err(refuse(&format!("{} is named twice", orderable.name)));
        }
        used.push(orderable.name);
        keys.push(SortKey { of: orderable.of, descending, mark: 1 + 2 * index as i64 + i64::from(descending) });
    }
    if 1 < exclusive.iter().filter(|name| used.contains(name)).count() {
        return Err(refuse(&format!("{} cannot be combined", exclusive.join(" and "))));
    }
    Ok(keys)
}

/// Instants sort by their milliseconds, although only seconds are shown.
pub(crate) const fn by_instant(at: Timestamp) -> i64 {
    at.0
}

/// Whole-string equality without regard to case: the one rule for names in parameters (section 4.4).
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() { a.eq_ignore_ascii_case(b) } else { a.to_lowercase() == b.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Orderable<i64>] =
        &[Orderable { name: "Priority", of: |value| *value }, Orderable { name: "DateCreated", of: |value| *value }];

    fn check(text: &str, expected: Result<&[bool], &str>) {
        let directions: Result<Vec<bool>, String> = ordering(Some(text), KNOWN, &["Priority", "DateCreated"])
            .map(|keys| keys.iter().map(|key| key.descending).collect())
            .map_err(|error| error.message);
        match (directions, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn orders_are_pairs_in_any_case() {
        check("priority:DESC", Ok(&[true]));
        check("datecreated:asc", Ok(&[false]));
        check("DateCreated", Err("DateCreated has no direction"));
        check("Priority:desc, Priority:asc", Err("Priority is named twice"));
        check("Priority:desc,DateCreated:asc", Err("cannot be combined"));
        check("Name:asc", Err("unknown attribute 'Name', expected Priority, DateCreated"));
        check("Priority:up", Err("unknown direction 'up'"));
        check("Priority:asc,", Err("unknown attribute ''"));
    }
}
