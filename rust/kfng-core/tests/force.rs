//! Forcing an instruction set is process-wide, so this test has a binary of its own.

use kfng_core::linalg::{Layout, Path, dot};

#[test]
fn a_forced_path_serves_every_later_layout() {
    let fastest = Path::best().name();
    let x = [1.0; 64];
    for path in Path::available() {
        Path::force(Some(path));
        assert_eq!(Layout::new(40).unwrap().path().name(), path.name());
        let before = Path::runs(path.name());
        assert_eq!(dot(&x, &x), 64.0);
        assert_eq!(Path::runs(path.name()), before + 1);
    }
    Path::force(None);
    assert_eq!(Path::best().name(), fastest);
}
