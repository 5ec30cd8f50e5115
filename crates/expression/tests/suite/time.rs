//! The `taskrouter.*` names. Reference: routing, section 1.7.

use pointsman_expression::{Expression, Scope};

use crate::fixtures::{NOW_MS, Queue, Worker, json};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

fn holds_at(now_ms: i64, text: &str) -> bool {
    let task = json(r#"{"hour": 8, "hours": ["08", "09"], "day": "tUE", "days": ["MON", "tue"], "word": "abc"}"#);
    let filter = Expression::parse(&text.replace("task.", "")).unwrap().eval(&Scope::filter(&task, now_ms));
    let worker = Worker::ann();
    let expression = Expression::parse(text).unwrap();
    assert_eq!(expression.eval(&Scope::target(&task, &worker, now_ms)), filter, "{text}");
    assert_eq!(expression.specialize(&task).eval(&Scope::remainder(&worker, now_ms)), filter, "{text}");
    filter
}

#[test]
fn numeric_names_are_numbers_to_numbers_and_text_to_text() {
    for text in [
        "taskrouter.currentTime == 805",
        "taskrouter.currentTime == 0805",
        "taskrouter.currentTime == '0805'",
        "taskrouter.currentTime == '805'",
        "taskrouter.currentTime CONTAINS '080'",
        "taskrouter.currentHour == 8",
        "taskrouter.currentHour == '8'",
        "taskrouter.currentHour == '08'",
        "8 == taskrouter.currentHour",
        "'08' == taskrouter.currentHour",
        "taskrouter.currentHour CONTAINS 8",
        "taskrouter.currentHour == task.hour",
        "taskrouter.currentHour IN task.hours",
        "task.hours HAS taskrouter.currentHour",
        "taskrouter.currentHour IN [8, 17]",
        "taskrouter.currentHour IN ['7', '8']",
        "taskrouter.currentHour NOT IN [7, '9']",
        "taskrouter.currentMin == '05'",
        "taskrouter.currentMin == 5",
        "taskrouter.currentMin < taskrouter.currentHour",
        "taskrouter.currentHour < '9'",
        "taskrouter.currentHour < 'abc'",
        "task.word > taskrouter.currentHour",
        "taskrouter.currentHour < 8.5",
        "'07' < taskrouter.currentHour",
        "taskrouter.currentHour != null",
        "taskrouter.currentHour != true",
        "taskrouter.currentHour != '8.0'",
    ] {
        assert!(holds_at(NOW_MS, text), "{text}");
    }
    for text in [
        "taskrouter.currentHour == null",
        "taskrouter.currentHour == true",
        "taskrouter.currentHour > null",
        "taskrouter.currentHour == ''",
        "taskrouter.currentHour == [8]",
        "taskrouter.currentHour IN 8",
        "taskrouter.currentHour CONTAINS null",
    ] {
        assert!(!holds_at(NOW_MS, text), "{text}");
    }
}

#[test]
fn the_day_of_the_week_ignores_case() {
    for text in [
        "taskrouter.dayOfWeek = 'Tue'",
        "taskrouter.dayOfWeek == 'TUE'",
        "'tue' == taskrouter.dayOfWeek",
        "taskrouter.dayOfWeek == task.day",
        "taskrouter.dayOfWeek IN task.days",
        "task.days HAS taskrouter.dayOfWeek",
        "taskrouter.dayOfWeek IN ['Mon','TUE']",
        "taskrouter.dayOfWeek CONTAINS 'uE'",
        "'is it tUe?' CONTAINS taskrouter.dayOfWeek",
        "taskrouter.dayOfWeek > 'mon'",
        "taskrouter.dayOfWeek > 'MON'",
        "taskrouter.dayOfWeek == taskrouter.dayOfWeek",
        "taskrouter.dayOfWeek != 2",
        "taskrouter.dayOfWeek != taskrouter.currentHour",
    ] {
        assert!(holds_at(NOW_MS, text), "{text}");
    }
    for text in ["taskrouter.dayOfWeek == 'Tuesday'", "taskrouter.dayOfWeek < 9", "taskrouter.dayOfWeek == 2"] {
        assert!(!holds_at(NOW_MS, text), "{text}");
    }
}

#[test]
fn days_and_minutes_are_those_of_utc() {
    for (offset, day) in ["Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Mon", "Tue"].iter().enumerate() {
        let now_ms = NOW_MS + offset as i64 * DAY_MS;
        assert!(holds_at(now_ms, &format!("taskrouter.dayOfWeek == '{day}'")), "{day}");
    }
    assert!(holds_at(0, "taskrouter.dayOfWeek == 'Thu' AND taskrouter.currentTime == 0"));
    assert!(holds_at(-1, "taskrouter.dayOfWeek == 'Wed' AND taskrouter.currentTime == 2359"));
    assert!(holds_at(7 * MINUTE_MS, "taskrouter.currentTime == 7 AND taskrouter.currentTime == '0007'"));
    let midnight_ms = NOW_MS - NOW_MS.rem_euclid(DAY_MS);
    assert!(holds_at(midnight_ms - 1, "taskrouter.dayOfWeek == 'Mon' AND taskrouter.currentHour == 23"));
    assert!(holds_at(midnight_ms, "taskrouter.dayOfWeek == 'Tue' AND taskrouter.currentMin == 0"));
}

#[test]
fn time_is_null_where_it_is_not_in_scope() {
    let (task, worker) = (json("{}"), Worker::ann());
    let expression = Expression::parse("taskrouter.currentHour == null AND taskrouter.dayOfWeek == null").unwrap();
    assert!(expression.eval(&Scope::worker(&worker)));
    assert!(expression.eval(&Scope::task(&task)));
    assert!(!expression.eval(&Scope::filter(&task, NOW_MS)));
    assert!(!expression.eval(&Scope::skip_if(&task, &Queue, NOW_MS)));
}
