//! The clock endpoint. Reference: extensions, section 2.

use pointsman_server::configuration::ClockMode;

use crate::support::{Office, World};

const CLOCK: &str = "/pointsman/v1/Clock";

#[tokio::test(flavor = "multi_thread")]
async fn the_systems_clock_is_shown_and_not_moved() {
    let world = World::start(ClockMode::System).await;
    let clock = world.get(CLOCK).await.expect(200);
    assert_eq!(clock.text("mode"), "system");
    let refused = world.post(CLOCK, "Advance=1").await.expect(409);
    assert_eq!(refused.json()["code"], 20409);
    assert_eq!(refused.text("message"), "The clock runs with the system; start the server with --clock virtual");
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_stands_still_until_it_is_moved() {
    let world = World::start(ClockMode::Virtual).await;
    let before = world.get(CLOCK).await.expect(200);
    assert!(before.text.starts_with(r#"{"now":""#), "{}", before.text);
    assert_eq!(before.json(), world.post(CLOCK, "Advance=0").await.expect(200).json());
    let instant = |text: String| text.parse::<jiff::Timestamp>().unwrap();
    let start = instant(before.text("now"));
    let moved = world.post(CLOCK, "Advance=1.25").await.expect(200);
    assert_eq!(instant(moved.text("now")).duration_since(start).as_millis(), 1_250);
    let until = start.checked_add(jiff::SignedDuration::from_secs(60)).unwrap();
    let moved = world.post(CLOCK, &format!("Until={until}")).await.expect(200);
    assert_eq!(instant(moved.text("now")).as_millisecond(), until.as_millisecond());
    world.post(CLOCK, &format!("Until={start}")).await.expect(400);
    for wrong in ["", "Advance=-1", "Advance=1&Until=2030-01-01T00:00:00Z", "Seconds=1", "Advance=31622401"] {
        assert_eq!(world.post(CLOCK, wrong).await.expect(400).json()["code"], 20001, "{wrong}");
    }
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moving_it_fires_every_timer_in_order() {
    let world = World::start(ClockMode::Virtual).await;
    let office = Office::open(&world, "", "&TaskReservationTimeout=30").await;
    let task = office.task(&world).await;
    let clock = world.post(CLOCK, "Advance=29").await.expect(200);
    assert_ne!(clock.json()["next_deadline"], serde_json::Value::Null);
    assert!(!world.events(&office.workspace).await.contains(&"reservation.timeout".to_owned()));
    world.post(CLOCK, "Advance=1").await.expect(200);
    assert!(world.events(&office.workspace).await.contains(&"reservation.timeout".to_owned()));
    // The Worker is away now, so nothing but the Task's own time-out is left.
    world.post(CLOCK, "Advance=90000").await.expect(200);
    let events = world.events(&office.workspace).await;
    assert!(events.contains(&"task.canceled".to_owned()), "{events:?}");
    world.get(&format!("{}/Tasks/{task}", office.workspace)).await.expect(404);
    world.server.stop().await;
}
