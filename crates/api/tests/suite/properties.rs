//! Whatever arrives, it is answered.

use pointsman_api::{HttpRequest, parse};
use proptest::prelude::*;

use crate::world::{Extras, START, World, workspace};

proptest! {
    #[test]
    fn parsing_never_panics(
        method in "(GET|POST|DELETE|HEAD|PUT|.{0,5})",
        path in "((/pointsman)?/v1/Workspaces(/[A-Za-z0-9%.{}]{0,40}){0,5}|.{0,40})",
        query in ".{0,60}",
        content_type in proptest::option::of("(application/x-www-form-urlencoded|application/json|multipart/form-data; boundary=a|.{0,20})"),
        if_match in proptest::option::of(".{0,20}"),
        content_encoding in proptest::option::of(".{0,20}"),
        last_event_id in proptest::option::of(".{0,20}"),
        body in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let request = HttpRequest {
            method: &method,
            path: &path,
            query: &query,
            content_type: content_type.as_deref(),
            content_encoding: content_encoding.as_deref(),
            if_match: if_match.as_deref(),
            last_event_id: last_event_id.as_deref(),
            body: &body,
            base_url: "https://router.example.com",
            peer: None,
        };
        let _ = parse(&request);
    }

    #[test]
    fn any_parameter_with_any_value_is_answered(
        collection in "(Activities|Workers|TaskQueues|TaskChannels|Workflows|Tasks|Events|Statistics|Workers/Statistics|TaskQueues/Statistics)",
        name in "(FriendlyName|Attributes|Ordering|PageToken|PageSize|Minutes|StartDate|EndDate|TaskChannel|SplitByWaitTime|UniqueName|Configuration|TargetWorkers|RoutingTarget|Timeout|VirtualStartTime|WorkflowSid|EvaluateTaskAttributes)",
        value in "(.{0,30}|[0-9%+-]{0,12}|[{}\\[\\]\",:a-z0-9]{0,30})",
        post: bool,
    ) {
        let mut world = World::new(START, "");
        let encoded = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
        let path = format!("/v1/Workspaces/{}/{collection}", workspace());
        let field = format!("{name}={encoded}");
        let answer = if post {
            world.send("POST", &path, field.as_bytes(), &Extras::default())
        } else {
            world.send("GET", &format!("{path}?{field}"), b"", &Extras::default())
        };
        prop_assert!([200, 201, 400, 405].contains(&answer.status), "{} {}", answer.status, answer.body);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&answer.body).is_ok(), "{}", answer.body);
    }
}
