//! The reference pages are those that the tables say. `UPDATE_EXPECT=1` rewrites them.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_committed_pages_are_those_of_the_tables() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    let pages = pointsman_api::reference::pages();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(&directory).unwrap();
        for (name, text) in &pages {
            std::fs::write(directory.join(name), text).unwrap();
        }
    }
    for (name, text) in &pages {
        let committed = std::fs::read_to_string(directory.join(name)).unwrap_or_default();
        assert!(committed == *text, "docs/reference/{name} is out of date; rerun with UPDATE_EXPECT=1");
    }
    let names: BTreeSet<&String> = pages.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), pages.len(), "each page has a name of its own");
    for file in std::fs::read_dir(&directory).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "docs/reference/{name} is no page of the tables");
    }
}
