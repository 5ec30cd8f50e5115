//! Pages of lists: parameters, tokens, the envelope. Reference: rest-contract, section 3.
//!
//! A token names the last record of a page (`PA`, "after") or the first one (`PB`, "before") and its position in the
//! order of the list, so that it outlives the record:
//!
//! ```text
//! PA WK95e095a942f9a328f51787648d206258 . NTA         [. 1709542800000 . 1709546400000]
//! ──  SID of the record                    position     interval of the first page, for statistics
//!                                          (base64url of "50"; under an Ordering of "2,-3,50", its mark first)
//! ```

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pointsman_engine::{Entity, Timestamp};

use crate::errors::{self, ApiError};
use crate::http::Answer;
use crate::json::{self, Object};
use crate::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::parameters::{Empty, Kind, Param, Spec, parse_sid};
use crate::request::Call;
use crate::table::write_sid;

const PAGE_SIZE: Param<usize> = Param {
    spec: Spec {
        name: "PageSize",
        doc: "Records per page, 1 to 1000; 50 by default.",
        kind: Kind::PageSize,
        required: false,
        empty: Empty::Absent,
        published: true,
        deferred: false,
    },
    of: |value| crate::parameters::big_number(value).min(PAGE_SIZE_MAX as i64) as usize,
};
const PAGE: Param<i64> = Param {
    spec: Spec {
        name: "Page",
        doc: "Number of the page, for the client's own use.",
        kind: Kind::Integer { from: 0, to: i64::MAX },
        required: false,
        empty: Empty::Absent,
        published: true,
        deferred: false,
    },
    of: crate::parameters::big_number,
};
const PAGE_TOKEN: Param<std::sync::Arc<str>> =
    crate::parameters::text("PageToken", "Where the page begins, as a page before gave it.");

/// The parameters of every list.
pub(crate) const SPECS: &[Spec] = &[PAGE_SIZE.spec, PAGE.spec, PAGE_TOKEN.spec];

/// Characters that stay as they are in the addresses of pages.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Which page a call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) size: usize,
    number: i64,
    pub(crate) token: Option<PageToken>,
}

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageToken {
    pub(crate) direction: Direction,
    pub(crate) sid: [u8; 16],
    /// Sort values and creation number; absent when the client made the token out of a SID.
    pub(crate) position: Option<Vec<i64>>,
    pub(crate) interval: Option<(Timestamp, Timestamp)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    After,
    Before,
}

/// A record's SID and position, from which the tokens of a page are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) sid: [u8; 16],
    pub(crate) position: Vec<i64>,
}

/// Links to the pages before and after one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edges {
    /// The first record, if there are some before it.
    pub(crate) previous: Option<Edge>,
    /// The last record, if there are some after it.
    pub(crate) next: Option<Edge>,
    pub(crate) interval: Option<(Timestamp, Timestamp)>,
}

/// `Page` without `PageToken` selects nothing any more: 400 since 2021 (section 3.1 [doc]).
pub(crate) fn absolute_paging(call: &Call) -> Option<ApiError> {
    let absolute = call.get(&PAGE).is_some_and(|page| 0 < page) && call.get(&PAGE_TOKEN).is_none();
    absolute.then(|| ApiError::new(&errors::ABSOLUTE_PAGING, &[]))
}

impl Page {
    /// Reads the paging parameters of a call whose parameters are checked.
    pub(crate) fn of<E: Entity>(call: &Call) -> Result<Self, ApiError> {
        let page = Self::with_interval::<E>(call)?;
        if page.token.as_ref().is_some_and(|token| token.interval.is_some()) {
            return Err(Self::bad_token(call));
        }
        Ok(page)
    }

    /// The same for a list whose tokens carry the interval of its first page.
    pub(crate) fn with_interval<E: Entity>(call: &Call) -> Result<Self, ApiError> {
        let token = match call.get(&PAGE_TOKEN) {
            Some(text) => Some(PageToken::parse(E::PREFIX, &text).ok_or_else(|| bad_token(&text))?),
            None => None,
        };
        let size = call.get(&PAGE_SIZE).unwrap_or(PAGE_SIZE_DEFAULT);
        Ok(Self { size, number: call.get(&PAGE).unwrap_or(0), token })
    }

    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    /// The error of a token that does not fit the list.
    pub(crate) fn bad_token(call: &Call) -> ApiError {
        bad_token(&call.get(&PAGE_TOKEN).unwrap_or_default())
    }
}

fn bad_token(text: &str) -> ApiError {
    ApiError::new(&errors::PAGE_TOKEN, &[("value", &text)])
}

impl PageToken {
    /// Reads a token of a list whose records have SIDs with `prefix`.
    pub(crate) fn parse(prefix: &str, text: &str) -> Option<Self> {
        let mut pieces = text.split('.');
        let head = pieces.next()?;
        let (direction, sid) = match (head.strip_prefix("PA"), head.strip_prefix("PB")) {
            (Some(sid), _) => (Direction::After, sid),
            (None, Some(sid)) => (Direction::Before, sid),
            (None, None) => return None,
        };
        let sid = parse_sid(prefix, sid)?;
        let position = match pieces.next() {
            Some(encoded) => {
                let decoded = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
                let numbers = std::str::from_utf8(&decoded).ok()?;
                Some(numbers.split(',').map(|number| number.parse().ok()).collect::<Option<Vec<i64>>>()?)
            }
            None => None,
        };
        let interval = match (pieces.next(), pieces.next(), pieces.next()) {
            (None, None, None) => None,
            (Some(start), Some(end), None) => {
                let (start, end) = (start.parse().ok()?, end.parse().ok()?);
                (start <= end).then_some((Timestamp(start), Timestamp(end))).map(Some)?
            }
            _ => return None,
        };
        Some(Self { direction, sid, position, interval })
    }

    fn print(direction: Direction, prefix: &str, edge: &Edge, interval: Option<(Timestamp, Timestamp)>) -> String {
        let mut out = String::from(match direction {
            Direction::After => "PA",
            Direction::Before => "PB",
        });
        write_sid(&mut out, prefix, edge.sid);
        let numbers: Vec<String> = edge.position.iter().map(i64::to_string).collect();
        out.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(numbers.join(","), &mut out);
        if let Some((start, end)) = interval {
            for bound in [start, end] {
                out.push('.');
                json::integer(&mut out, bound.0);
            }
        }
        out
    }
}

/// The addresses of a page and of its neighbors.
pub(crate) struct Addresses {
    pub(crate) first: String,
    pub(crate) previous: Option<String>,
    pub(crate) own: String,
    pub(crate) next: Option<String>,
}

/// What the envelope needs of a call, for pages that are finished after it.
#[derive(Clone, Debug)]
pub(crate) struct PageSetting {
    key: &'static str,
    /// What all addresses begin with: path and filters.
    start: String,
    token: Option<String>,
}

impl PageSetting {
    pub(crate) fn of(call: &Call) -> Self {
        Self::with_base(call, &call.base_url)
    }

    fn with_base(call: &Call, base: &str) -> Self {
        let mut start = format!("{base}{}?", call.path.strip_suffix('/').unwrap_or(&call.path));
        for (name, value) in &call.filters {
            start.extend(utf8_percent_encode(name, ENCODED));
            start.push('=');
            start.extend(utf8_percent_encode(value, ENCODED));
            start.push('&');
        }
        Self { key: call.mount.list_key, start, token: call.get(&PAGE_TOKEN).map(|token| token.to_string()) }
    }
}

/// Filters first, then `PageSize`, `Page`, `PageToken`.
fn addresses(setting: &PageSetting, prefix: &str, page: &Page, edges: &Edges) -> Addresses {
    let start = &setting.start;
    let address = |number: i64, token: Option<&str>| {
        let mut out = format!("{start}PageSize={}&Page={number}", page.size);
        if let Some(token) = token {
            out.push_str("&PageToken=");
            out.extend(utf8_percent_encode(token, ENCODED));
        }
        out
    };
    let to = |number, direction, edge: &Edge| {
        address(number, Some(&PageToken::print(direction, prefix, edge, edges.interval)))
    };
    let previous = (page.number - 1).max(0);
    Addresses {
        first: address(0, None),
        previous: edges.previous.as_ref().map(|edge| to(previous, Direction::Before, edge)),
        own: address(page.number, setting.token.as_deref()),
        next: edges.next.as_ref().map(|edge| to(page.number.saturating_add(1), Direction::After, edge)),
    }
}

/// As [`addresses`], for the one list whose envelope has no hosts.
pub(crate) fn addresses_without_host(call: &Call, prefix: &str, page: &Page, edges: &Edges) -> Addresses {
    addresses(&PageSetting::with_base(call, ""), prefix, page, edges)
}

/// Renders a page of a call that is still at hand.
pub(crate) fn envelope(call: &Call, prefix: &str, page: &Page, items: &str, edges: &Edges) -> String {
    envelope_of(&PageSetting::of(call), prefix, page, items, edges)
}

/// Renders one page of a list, in the envelope of every TaskRouter list.
///
/// - Shape: `{list_key: [item, ..], "meta": {"page", "page_size", "first_page_url", "previous_page_url", "url",
///   "next_page_url", "key"}}`.
/// - `items`: the array, brackets included. Source: reference/rest-contract.md, section 3.2 [oai].
pub(crate) fn envelope_of(setting: &PageSetting, prefix: &str, page: &Page, items: &str, edges: &Edges) -> String {
    let addresses = addresses(setting, prefix, page, edges);
    let key = setting.key;
    let mut out = String::with_capacity(items.len() + 1_024);
    let mut object = Object::open(&mut out);
    object.raw(key, items);
    let mut meta = Object::open(object.key("meta"));
    meta.integer("page", page.number);
    meta.integer("page_size", page.size as i64);
    meta.text("first_page_url", &addresses.first);
    meta.optional_text("previous_page_url", addresses.previous.as_deref());
    meta.text("url", &addresses.own);
    meta.optional_text("next_page_url", addresses.next.as_deref());
    meta.text("key", key);
    meta.close();
    object.close();
    out
}

/// A page as an answer.
///
/// - `versioned`: its records have versions, so the page has a weak tag: a hash of its body (section 2.1 [decide]).
pub(crate) fn answer(body: String, versioned: bool) -> Answer {
    let tag = versioned.then(|| format!("W/\"{:08x}\"", crc32fast::hash(body.as_bytes())));
    let answer = Answer::json(200, body);
    match tag {
        Some(tag) => answer.with("ETag", tag),
        None => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_documented_token_is_read() {
        let token = PageToken::parse("WK", "PAWK95e095a942f9a328f51787648d206258.NTA").unwrap();
        assert_eq!((token.direction, token.position, token.interval), (Direction::After, Some(vec![50]), None));
    }

    #[test]
    fn tokens_of_other_lists_and_broken_ones_are_refused() {
        let sid = "WK95e095a942f9a328f51787648d206258";
        for text in [
            String::new(),
            sid.to_string(),
            format!("PT{sid}"),
            "PAWQ95e095a942f9a328f51787648d206258".to_string(),
            format!("PA{sid}."),
            format!("PA{sid}.!"),
            format!("PA{sid}.NTA.1"),
            format!("PA{sid}.NTA.2.1"),
            format!("PA{sid}.NTA.1.2.3"),
            format!("PA{sid}.NTA.x.2"),
        ] {
            assert_eq!(PageToken::parse("WK", &text), None, "{text}");
        }
        assert!(PageToken::parse("WK", &format!("PB{sid}")).is_some_and(|token| token.position.is_none()));
    }

    proptest! {
        #[test]
        fn tokens_read_back(
            after: bool,
            sid: [u8; 16],
            position in proptest::collection::vec(any::<i64>(), 1..4),
            interval in proptest::option::of((0_i64..1 << 50, 0_i64..1 << 50)),
        ) {
            let interval = interval.map(|(start, length)| (Timestamp(start), Timestamp(start + length)));
            let direction = if after { Direction::After } else { Direction::Before };
            let edge = Edge { sid, position: position.clone() };
            let text = PageToken::print(direction, "WT", &edge, interval);
            let expected = PageToken { direction, sid, position: Some(position), interval };
            prop_assert_eq!(PageToken::parse("WT", &text), Some(expected));
        }

        #[test]
        fn reading_never_panics(text in ".{0,80}") {
            PageToken::parse("WT", &text);
        }
    }
}
