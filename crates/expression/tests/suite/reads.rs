//! What an expression depends on.

use pointsman_expression::{Expression, Place, Reads};

/// The dependencies as one line.
fn reads(place: Place, text: &str) -> String {
    let Reads { worker_attributes, worker_object, identity, activity, channels, task, workers, time } =
        Expression::parse(text).unwrap().reads(place);
    let mut found: Vec<String> = worker_attributes.iter().map(ToString::to_string).collect();
    found.extend(channels.iter().map(|channel| format!("channel({channel})")));
    let flags = [
        (worker_object, "object"),
        (identity, "identity"),
        (activity, "activity"),
        (task, "task"),
        (workers, "workers"),
        (time, "time"),
    ];
    found.extend(flags.iter().filter(|(is_read, _)| *is_read).map(|(_, name)| format!("+{name}")));
    found.join(" ")
}

#[test]
fn reads_are_those_of_the_place() {
    const TEXT: &str = "a.b == worker.c[0] OR task.d IN [e, workers.available] AND taskrouter.currentHour > 8";
    assert_eq!(reads(Place::Worker, TEXT), "a c e task workers");
    assert_eq!(reads(Place::Filter, TEXT), "+task +time");
    assert_eq!(reads(Place::Target, TEXT), "c +task +time");
    assert_eq!(reads(Place::SkipIf, TEXT), "+task +workers +time");
    assert_eq!(reads(Place::Task, TEXT), "+task");
}

#[test]
fn built_in_names_are_told_apart() {
    assert_eq!(reads(Place::Worker, "sid == 'x'"), "sid +identity");
    assert_eq!(reads(Place::Worker, "worker.friendly_name == 'x'"), "friendly_name +identity");
    assert_eq!(reads(Place::Target, "worker.activity_name == 'x'"), "activity_name +activity");
    assert_eq!(reads(Place::Target, "activity_name == 'x'"), "");
    assert_eq!(reads(Place::Target, "worker.channel.voice.assigned_tasks == 0"), "channel channel(voice)");
    assert_eq!(reads(Place::Target, "worker.channel.voice.x == 0"), "channel");
    assert_eq!(reads(Place::Worker, "worker != null"), "+object");
    assert_eq!(reads(Place::SkipIf, "workers.x == 0 OR taskrouter.x == 0"), "");
    assert_eq!(reads(Place::Worker, "1 == 1"), "");
}
