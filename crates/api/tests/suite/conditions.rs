//! `If-Match` in all its spellings, and the order of checks. Reference: rest-contract, section 2.2.

use crate::world::{Extras, START, World, workspace};

fn update(world: &mut World, if_match: &str, form: &str) -> (u16, Option<String>) {
    let list = format!("/v1/Workspaces/{}/Workers", workspace());
    let workers = world.send("GET", &list, b"", &Extras::default()).body;
    let document: serde_json::Value = serde_json::from_str(&workers).unwrap();
    let path = format!("{list}/{}", document["workers"][0]["sid"].as_str().unwrap());
    let extras = Extras { if_match: Some(if_match.to_string()), ..Extras::default() };
    let answer = world.send("POST", &path, form.as_bytes(), &extras);
    (answer.status, answer.header("ETag").map(str::to_string))
}

#[test]
fn every_spelling_of_the_version_is_understood() {
    let mut world = World::new(START, "");
    let list = format!("/v1/Workspaces/{}/Workers", workspace());
    world.send("POST", &list, b"FriendlyName=Ada", &Extras::default());
    update(&mut world, "", "FriendlyName=Eda");
    for given in ["1", "\"1\"", "W/\"1\"", " 1 ", "0, 1", "\"0\",\"1\"", "*", "", "  ", "x,*"] {
        assert_eq!(update(&mut world, given, ""), (200, Some("\"1\"".to_string())), "{given}");
    }
    for given in ["0", "\"0\"", "01", "1.0", "x", "W/\"2\"", "0,2"] {
        assert_eq!(update(&mut world, given, "").0, 412, "{given}");
    }
}

#[test]
fn a_stale_version_comes_before_faults_of_parameters() {
    let mut world = World::new(START, "");
    let list = format!("/v1/Workspaces/{}/Workers", workspace());
    world.send("POST", &list, b"FriendlyName=Ada", &Extras::default());
    assert_eq!(update(&mut world, "7", "FriendlyName=&Attributes=x").0, 412);
    assert_eq!(update(&mut world, "0", "FriendlyName=&Attributes=x").0, 400);
}

#[test]
fn of_two_updates_with_one_version_one_succeeds() {
    let mut world = World::new(START, "");
    let list = format!("/v1/Workspaces/{}/Workers", workspace());
    world.send("POST", &list, b"FriendlyName=Ada", &Extras::default());
    assert_eq!(update(&mut world, "0", "FriendlyName=A").0, 200);
    assert_eq!(update(&mut world, "0", "FriendlyName=B").0, 412);
}
