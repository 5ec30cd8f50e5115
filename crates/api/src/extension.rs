//! What extensions have in common: strict parameters, and requests that the server carries out beside the state.
//! Reference: extensions, section 1.

use pointsman_engine::{Account, EventKind, PublicEvent, Sid, Task, Timestamp, Workspace};

use crate::errors::{self, ApiError};
use crate::page::{Page, PageSetting};

/// A call whose Workspace, parameters and credentials are in order, for the server to carry out.
#[derive(Clone, Debug)]
pub enum ServerRequest {
    EventStream(EventStreamRequest),
    Deliveries(DeliveriesRequest),
}

/// Something about the deliveries of a Workspace that failed for good. Reference: extensions, section 10.
#[derive(Clone, Debug)]
pub struct DeliveriesRequest {
    pub workspace: Sid<Workspace>,
    pub account: Sid<Account>,
    pub ask: DeliveriesAsk,
    /// The answer when there is none of that SID.
    pub not_found: ApiError,
    pub(crate) base_url: String,
}

#[derive(Clone, Debug)]
pub enum DeliveriesAsk {
    List(Box<LettersPage>),
    Fetch([u8; 16]),
    Replay([u8; 16]),
    ReplayAll,
}

/// Which of them a list shows.
#[derive(Clone, Debug)]
pub struct LettersPage {
    pub(crate) kind: Option<EventKind>,
    pub(crate) task: Option<Sid<Task>>,
    pub place: LettersPlace,
    /// Most of them on the page.
    pub wanted: usize,
    pub(crate) page: Page,
    pub(crate) setting: PageSetting,
}

/// Where a page lies, by the numbers of deliveries; on it they stand oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LettersPlace {
    After(u64),
    Before(u64),
}

/// Events as a stream. Reference: extensions, section 9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventStreamRequest {
    pub workspace: Sid<Workspace>,
    pub account: Sid<Account>,
    /// Empty is every kind.
    pub kinds: Vec<EventKind>,
    pub begin: StreamBegin,
    /// Goes on with what happens; else ends with what there is.
    pub follow: bool,
}

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamBegin {
    /// With the oldest event that is kept.
    Start,
    /// With what happens after the request.
    Now,
    /// With the first event at or after an instant.
    At(Timestamp),
    /// With the event that follows this one.
    After(Sid<PublicEvent>),
}

/// The error of a parameter that the operation does not have; it names the nearest one.
pub(crate) fn unknown_parameter(name: &str, known: &[&str]) -> ApiError {
    let nearest = known.iter().min_by_key(|known| distance(name, known));
    let expected = match (nearest, known) {
        (None, _) => "no parameters".to_string(),
        // A slip of the pen; anything else gets the whole list.
        (Some(nearest), [_, _, _, ..]) if distance(name, nearest) <= 2 => format!("{nearest}, perhaps"),
        (Some(_), many) => many.join(" or "),
    };
    ApiError::new(&errors::UNKNOWN_PARAMETER, &[("name", &name), ("expected", &expected)])
}

/// How many characters must be put in, taken out or replaced to make one text of the other; case does not matter.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    // Whoever sends a name of thousands of characters meant none of ours.
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (index, left) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (place, right) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(row[place] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_parameter_is_named() {
        let message = |name, known: &[&str]| unknown_parameter(name, known).message;
        assert_eq!(message("advance", &["Advance", "Until"]), "Unknown parameter advance: expected Advance or Until");
        assert_eq!(
            message("PageSiz", &["From", "PageSize", "Page"]),
            "Unknown parameter PageSiz: expected PageSize, perhaps"
        );
        assert_eq!(
            message("Colour", &["From", "PageSize", "Page"]),
            "Unknown parameter Colour: expected From or PageSize or Page"
        );
        assert_eq!(message("x", &[]), "Unknown parameter x: expected no parameters");
    }

    #[test]
    fn distances_count_single_characters() {
        for (a, b, expected) in
            [("", "abc", 3), ("abc", "", 3), ("abc", "ABC", 0), ("folow", "Follow", 1), ("from", "form", 2)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
