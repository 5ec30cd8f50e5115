//! Walking over pages. Reference: rest-contract, section 3.

use serde_json::Value;

use crate::world::{BASE_URL, Extras, START, World, workspace};

struct Walk {
    world: World,
}

impl Walk {
    fn new() -> Self {
        let mut walk = Self { world: World::new(START, "") };
        let queue = walk.post("/TaskQueues", "FriendlyName=All");
        for number in 0..9 {
            let form = format!(
                "RoutingTarget={queue}&Priority={}&Attributes={{\"number\":{number}}}",
                [3, 1, 3, 2][number % 4]
            );
            walk.post("/Tasks", &form);
        }
        walk
    }

    fn post(&mut self, target: &str, form: &str) -> String {
        let target = format!("/v1/Workspaces/{}{target}", workspace());
        let answer = self.world.send("POST", &target, form.as_bytes(), &Extras::default());
        let document: Value = serde_json::from_str(&answer.body).unwrap();
        document["sid"].as_str().unwrap().to_string()
    }

    fn page(&mut self, url: &str) -> Value {
        let answer = self.world.send("GET", url.strip_prefix(BASE_URL).unwrap(), b"", &Extras::default());
        assert_eq!(answer.status, 200, "{url}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Follows a link of `meta` until it is null; each page as the SIDs on it.
    fn follow(&mut self, from: &str, link: &str) -> (Vec<Vec<String>>, String) {
        let (mut pages, mut url) = (Vec::new(), from.to_string());
        loop {
            let page = self.page(&url);
            let key = page["meta"]["key"].as_str().unwrap();
            let sids = page[key].as_array().unwrap().iter().map(|record| record["sid"].as_str().unwrap().to_string());
            pages.push(sids.collect());
            match page["meta"][link].as_str() {
                Some(next) => {
                    assert_ne!(next, url, "a page never links to itself");
                    url = next.to_string();
                }
                None => return (pages, url),
            }
        }
    }
}

fn first(rest: &str) -> String {
    format!("{BASE_URL}/v1/Workspaces/{}{rest}", workspace())
}

#[test]
fn every_list_is_walked_forwards_and_backwards() {
    let mut walk = Walk::new();
    for list in [
        "/Tasks?",
        "/Tasks?Ordering=Priority:desc,DateCreated:asc&",
        "/Tasks?Ordering=VirtualStartTime:desc&",
        "/Tasks?Priority=3&",
        "/TaskChannels?",
        "/Events?",
        "/Events?EventType=task.created&",
    ] {
        let (whole, _) = walk.follow(&first(&format!("{list}PageSize=1000")), "next_page_url");
        let whole: Vec<String> = whole.into_iter().flatten().collect();
        for size in [1, 2, 4, 9, 50] {
            let (forwards, last) = walk.follow(&first(&format!("{list}PageSize={size}")), "next_page_url");
            assert!(forwards.iter().all(|page| page.len() <= size));
            assert_eq!(forwards.concat(), whole, "{list} {size}");
            let (mut backwards, _) = walk.follow(&last, "previous_page_url");
            backwards.reverse();
            assert_eq!(backwards.concat(), whole, "{list} {size} backwards");
        }
    }
}

#[test]
fn priority_goes_before_age() {
    let mut walk = Walk::new();
    let page = walk.page(&first("/Tasks?Ordering=Priority:desc,DateCreated:asc"));
    let numbers: Vec<(i64, &str)> = page["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| (task["priority"].as_i64().unwrap(), task["attributes"].as_str().unwrap()))
        .collect();
    let expected = [(3, 0), (3, 2), (3, 4), (3, 6), (3, 8), (2, 3), (2, 7), (1, 1), (1, 5)];
    let expected = expected.map(|(priority, number)| (priority, format!("{{\"number\":{number}}}")));
    assert!(
        numbers.iter().copied().eq(expected.iter().map(|(priority, text)| (*priority, text.as_str()))),
        "{numbers:?}"
    );
}

#[test]
fn a_token_outlives_its_record() {
    let mut walk = Walk::new();
    for list in ["/Tasks?PageSize=4", "/Tasks?PageSize=4&Ordering=Priority:asc"] {
        let page = walk.page(&first(list));
        let last = page["tasks"][3]["sid"].as_str().unwrap();
        let target = format!("/v1/Workspaces/{}/Tasks/{last}", workspace());
        let next = walk.page(page["meta"]["next_page_url"].as_str().unwrap());
        assert_eq!(walk.world.send("DELETE", &target, b"", &Extras::default()).status, 204);
        let again = walk.page(page["meta"]["next_page_url"].as_str().unwrap());
        assert_eq!(again["tasks"], next["tasks"], "{list}");
    }
}

#[test]
fn a_sid_alone_is_a_token_while_its_record_exists() {
    let mut walk = Walk::new();
    let all = walk.page(&first("/Tasks"));
    let sid = all["tasks"][2]["sid"].as_str().unwrap().to_string();
    for list in ["/Tasks?", "/Tasks?Ordering=DateCreated:asc&"] {
        let page = walk.page(&first(&format!("{list}PageToken=PA{sid}")));
        assert_eq!(page["tasks"][0], all["tasks"][3], "{list}");
        let page = walk.page(&first(&format!("{list}PageToken=PB{sid}&PageSize=1")));
        assert_eq!(page["tasks"][0], all["tasks"][1], "{list}");
    }
    let target = format!("/v1/Workspaces/{}/Tasks", workspace());
    walk.world.send("DELETE", &format!("{target}/{sid}"), b"", &Extras::default());
    let answer = walk.world.send("GET", &format!("{target}?PageToken=PA{sid}"), b"", &Extras::default());
    assert_eq!(answer.status, 400);
}

#[test]
fn a_token_of_another_order_is_refused() {
    let mut walk = Walk::new();
    let page = walk.page(&first("/Tasks?PageSize=1&Ordering=Priority:asc"));
    let token = page["meta"]["next_page_url"].as_str().unwrap().split("PageToken=").nth(1).unwrap().to_string();
    let target = format!("/v1/Workspaces/{}/Tasks?PageToken={token}", workspace());
    assert_eq!(walk.world.send("GET", &target, b"", &Extras::default()).status, 400);
}
