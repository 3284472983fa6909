//! Imports point one way, and every family, model and belief knows nothing of the other axes.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules in layers: a file imports from layers before its own, or from its own folder.
const LAYERS: [&[&str]; 16] = [
    &["linalg::simd"], // what a number type must offer to a kernel
    &["scalar", "error"],
    &["hashing"],
    &["linalg"],
    &["field"],
    &["family", "model"],
    &["sensitivity"],
    &["belief"],
    &["rule", "state", "row", "lapse"],
    &[
        "guard", "scale", "turns", "iterate", "journal", "robust", "sparse",
    ],
    &["lean"],
    &["spec"],
    &["recurrence", "small"],
    &["filter"],
    &[
        "clock",
        "commit",
        "pulls",
        "relinearise",
        "recurrent",
        "descent",
        "spared",
        "prepare",
        "learn",
        "short",
        "small_tests",
        "lean_step",
        "sparse_step",
        "trust",
        "glm_block",
        "wave",
        "access",
        "saved",
        "resize",
        "joint",
    ],
    &["bank"],
];

fn layer(module: &str) -> usize {
    let within = |name: &&str| module == *name || module.starts_with(&format!("{name}::"));
    LAYERS
        .iter()
        .position(|names| names.iter().any(within))
        .unwrap_or_else(|| panic!("{module}: in no layer"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn imports_point_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    let mut seen = 0;
    for path in found {
        let relative = path.strip_prefix(&root).expect("inside").with_extension("");
        let module = relative
            .to_str()
            .expect("a plain name")
            .replace(['/', '\\'], "::")
            .replace("::mod", "");
        if module == "lib" {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source");
        for line in text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("use crate::"))
        {
            let target = line
                .split(['{', ';'])
                .next()
                .unwrap_or_default()
                .trim_end_matches("::");
            let same_folder = target.split("::").next() == module.split("::").next();
            assert!(
                same_folder || layer(target) < layer(&module),
                "{module} imports {target}"
            );
            seen += 1;
        }
    }
    assert!(seen > 50, "the scan saw {seen} imports");
}
