//! Single bytes changed at random in every file of a data directory: each change is found and its file named, or it
//! makes no difference. Nothing that is not as it was written is ever passed off as good.
//!
//! `POINTSMAN_CORRUPTIONS` and `POINTSMAN_CORRUPTION_SEED` change the run.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use pointsman_dispatcher::Batch;
use pointsman_engine::Limits;
use pointsman_record::public_event;
use pointsman_server::admin;
use pointsman_store::{
    HistoryOrder, HistoryQuery, Options, OutboxNumber, Reference, Role, SqliteStore, Store, StreamId, limits,
};

use crate::world::{Random, World, append, number_of, picture, restore};

/// Fills a directory with something of everything: two days of history, two snapshots, a trimmed journal, deliveries.
pub(crate) fn fill(directory: &Path, random: &mut Random, steps: u64) {
    let store = SqliteStore::open(directory, &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    let mut batch = Batch::default();
    let mut world = World::create(1, &mut batch);
    append(&store, epoch, &batch).unwrap();
    for step in 1..=steps {
        let mut batch = Batch::default();
        world.step(random, &mut batch);
        append(&store, epoch, &batch).unwrap();
        if step % (steps / 4) == 0 {
            admin::project(&store).unwrap();
            world.now_ms += 6 * 3_600_000;
        }
        if step == steps / 3 || step == 2 * steps / 3 {
            world.save_snapshot(&store);
        }
        if step == 3 * steps / 4 {
            assert!(0 < store.trim().unwrap());
        }
    }
    admin::project(&store).unwrap();
}

/// Everything that a server would show, or why it cannot. What only the check finds comes second.
#[derive(PartialEq)]
enum Answer {
    Shown(Vec<Vec<u8>>),
    Refused(String),
    FoundByCheck(String),
}

fn ask(directory: &Path) -> Answer {
    let asked = std::panic::catch_unwind(AssertUnwindSafe(|| read(directory)));
    match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(problem)) => Answer::Refused(problem),
        // A server stops there, and names no file; it counts as refused only together with what the check says.
        Err(_) => match check(directory) {
            Ok(problems) if !problems.is_empty() => Answer::Refused(problems.join("; ")),
            _ => panic!("a contradiction that the check does not see"),
        },
    }
}

fn check(directory: &Path) -> Result<Vec<String>, String> {
    let store = SqliteStore::open(directory, &Options::default()).map_err(|error| text(&error))?;
    let summary = admin::check(&store, Limits::default(), &mut |_| {}).map_err(|error| text(&error))?;
    Ok(summary.problems)
}

fn read(directory: &Path) -> Result<Answer, String> {
    let store = SqliteStore::open(directory, &Options::default()).map_err(|error| text(&error))?;
    let damaged = store.snapshots().map_err(|error| text(&error))?.damaged;
    let shard = restore(&store)?;
    let mut shown = picture(&shard);
    for (StreamId(workspace), _) in store.streams().map_err(|error| text(&error))? {
        let all = HistoryQuery { order: HistoryOrder::OldestFirst, ..HistoryQuery::all(workspace) };
        history(&store, &all, &mut shown)?;
        let state = shard.workspaces().next().expect("it was restored");
        for worker in state.workers() {
            let references = vec![Reference { role: Role::Worker, sid: worker.sid.bytes() }];
            history(&store, &HistoryQuery { references, ..all.clone() }, &mut shown)?;
        }
        for task in state.tasks() {
            let references = vec![Reference { role: Role::Task, sid: task.sid.bytes() }];
            history(&store, &HistoryQuery { references, ..all.clone() }, &mut shown)?;
        }
    }
    for delivery in store.outbox_read(OutboxNumber(0), limits::OUTBOX_PAGE_MAX).map_err(|error| text(&error))? {
        shown.push(format!("{:?}", delivery.entry).into_bytes());
    }
    drop(store);
    if let Some(damage) = damaged.first() {
        // Passed over and reported: what is shown comes from the one before.
        return Err(damage.to_string());
    }
    let problems = check(directory)?;
    if problems.is_empty() { Ok(Answer::Shown(shown)) } else { Ok(Answer::FoundByCheck(problems.join("; "))) }
}

fn history(store: &SqliteStore, query: &HistoryQuery, shown: &mut Vec<Vec<u8>>) -> Result<(), String> {
    let mut query = HistoryQuery { limit: limits::HISTORY_PAGE_MAX, ..query.clone() };
    loop {
        let page = store.history(&query).map_err(|error| text(&error))?;
        for event in &page.events {
            public_event::decode(&event.payload).map_err(|error| error.to_string())?;
            shown.push(event.payload.clone());
        }
        shown.push(Vec::new());
        match page.events.last() {
            Some(last) if page.more => query.cursor = Some(last.key),
            _ => return Ok(()),
        }
    }
}

fn text(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", text(source)))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            assert!(fs::copy(&path, &target).is_ok(), "{}", path.display());
        }
    }
}

#[test]
fn a_changed_byte_is_found_or_makes_no_difference() {
    let count = number_of("POINTSMAN_CORRUPTIONS", 60);
    let seed = number_of("POINTSMAN_CORRUPTION_SEED", 1);
    let mut random = Random(seed);
    let root = tempfile::tempdir().unwrap();
    let (good, bad) = (root.path().join("good"), root.path().join("bad"));
    fill(&good, &mut random, 240);
    let expected = ask(&good);
    let Answer::Shown(_) = &expected else { panic!("the sample is good") };
    let files = files(&good);
    let (mut refused, mut by_check, mut harmless) = (0, 0, 0);
    for _ in 0..count {
        // Each file as often as any other, so that the small ones have their turn.
        let file = random.pick(&files).unwrap();
        let length = fs::metadata(file).unwrap().len();
        let (at, mask) = (random.below(length), 1 + random.below(255) as u8);
        let _ = fs::remove_dir_all(&bad);
        copy(&good, &bad);
        let name = file.strip_prefix(&good).unwrap();
        let mut bytes = fs::read(file).unwrap();
        bytes[at as usize] ^= mask;
        fs::write(bad.join(name), bytes).unwrap();
        let place = format!("seed {seed}: byte {at} of {} with {mask:#04x}", name.display());
        match ask(&bad) {
            Answer::Refused(problem) => {
                assert!(names(&problem, name), "{place}: the message names another file: {problem}");
                refused += 1;
            }
            Answer::FoundByCheck(problem) => {
                assert!(names(&problem, name), "{place}: the message names another file: {problem}");
                by_check += 1;
            }
            shown @ Answer::Shown(_) => {
                assert!(shown == expected, "{place} is passed off as good");
                harmless += 1;
            }
        }
    }
    println!(
        "seed {seed}: {count} changes: {refused} refused when read, {by_check} by the check only, {harmless} harmless"
    );
    assert!(refused > count / 10);
}

fn names(problem: &str, file: &Path) -> bool {
    problem.contains(file.file_name().unwrap().to_str().unwrap())
}
