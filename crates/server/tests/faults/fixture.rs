//! Data directories that released versions have written; each must open for good.
//!
//! `POINTSMAN_WRITE_FIXTURE=DIR` writes one of this version.

use std::fs;
use std::path::{Path, PathBuf};

use pointsman_engine::Limits;
use pointsman_server::Server;
use pointsman_server::admin::{self, CheckSummary};
use pointsman_server::configuration::{Configuration, FirstAccount};
use pointsman_store::{OpenError, Options, SqliteStore, Store};

use crate::corruption::{copy, fill};
use crate::world::Random;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

#[test]
fn a_fixture_is_written_when_asked_for() {
    let Some(directory) = std::env::var_os("POINTSMAN_WRITE_FIXTURE") else { return };
    let directory = PathBuf::from(directory);
    fill(&directory, &mut Random(7), 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_opens_and_is_served() {
    let mut versions = 0;
    for fixture in fs::read_dir(fixtures()).unwrap() {
        let fixture = fixture.unwrap().path();
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("data");
        copy(&fixture, &directory);
        let CheckSummary { problems, workspaces, tasks, .. } = {
            let store = SqliteStore::open(&directory, &Options::default()).unwrap();
            admin::check(&store, Limits::default(), &mut |_| {}).unwrap()
        };
        assert_eq!(problems, [] as [String; 0], "{}", fixture.display());
        assert!(workspaces == 1 && 0 < tasks, "{}: {workspaces} workspaces, {tasks} tasks", fixture.display());
        // That of the Workspace; the configuration makes it known.
        let account = "AC01010101010101010101010101010101";
        let server = Server::start(Configuration {
            listen: "127.0.0.1:0".parse().unwrap(),
            data_dir: directory.clone(),
            account: FirstAccount { sid: Some(account.to_owned()), auth_token: Some("fixture".to_owned()) },
            ..Configuration::default()
        });
        let server = server.await.unwrap();
        let url = format!("http://{}/v1/Workspaces", server.address());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(url).basic_auth(account, Some("fixture")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert!(answer.text().await.unwrap().contains("\"friendly_name\":\"Busy\""));
        server.stop().await;
        let lanes = SqliteStore::open(&directory, &Options::default()).unwrap().outbox_lanes().unwrap();
        assert!(lanes.iter().all(|lane| lane.number != 0), "{}: deliveries without a lane", fixture.display());
        versions += 1;
    }
    assert!(0 < versions);
}

#[test]
fn a_fixture_of_a_later_version_is_refused_in_so_many_words() {
    let root = tempfile::tempdir().unwrap();
    copy(&fixtures().join("data-v1"), root.path());
    fs::write(root.path().join("store.lock"), "pointsman store format 2\n").unwrap();
    let error = SqliteStore::open(root.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::Format { found: 2, known: 1, .. }));
    let expected = format!(
        "{} was written by store format 2; this program reads format 1",
        root.path().join("store.lock").display()
    );
    assert_eq!(error.to_string(), expected);
}
