//! The corpus of the fuzz target `parse`, without a fuzzer.

use std::path::Path;

use crate::check;

#[test]
fn the_fuzz_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/parse");
    let mut files: Vec<_> = corpus.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(20 <= files.len(), "the corpus is committed");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        check::parse(&String::from_utf8_lossy(&bytes));
    }
}
