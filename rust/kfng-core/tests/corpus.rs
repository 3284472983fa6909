//! Inputs that the fuzzer found worth keeping (fuzz/corpus, one folder for each target), run as ordinary tests.

use std::fs;
use std::path::Path;

#[allow(clippy::pedantic, reason = "a folder of its own")]
#[path = "../../../fuzz/src/lib.rs"]
mod fuzz;

/// Runs every input of a folder.
fn replay(folder: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(folder);
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("a corpus") {
        let path = entry.expect("an input").path();
        println!("{}", path.display()); // shown where it fails
        run(&fs::read(path).expect("bytes"));
        count += 1;
    }
    assert!(count >= 10, "{count} inputs");
}

#[test]
fn states_and_specifications() {
    replay("load", fuzz::load);
}

#[test]
fn rows_of_filters() {
    replay("rows", fuzz::rows);
}

#[test]
fn keys_of_banks() {
    replay("bank", fuzz::bank);
}

#[test]
fn laws() {
    replay("law", fuzz::law);
}
