//! The UD pass through its public face: exact equalities between its modes, and no allocation.

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::cell::Cell;

use kfng_core::linalg::{Aligned, Columns, Layout, Path, diagonal, diagonal_prior, fuse, variance};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what this thread allocates.
struct Counting;

// SAFETY: every call goes to the system allocator unchanged; the counter is a plain thread-local cell without a destructor.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, memory: Memory) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(memory) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, memory: Memory) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, memory) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn a_pass_allocates_nothing() {
    assert_eq!(
        allocations(|| drop(std::hint::black_box(vec![0u8; 100]))),
        1,
        "the allocator does not count"
    );
    for p in [4, 16, 17, 100] {
        let layout = Layout::new(p).unwrap();
        let [mut u, mut u1] = [(); 2].map(|()| Aligned::<f64>::zeros(layout.u_len()).unwrap());
        let [mut d, mut d1] = [(); 2].map(|()| Aligned::<f64>::zeros(layout.d_len()).unwrap());
        let mut columns = Columns::<f64>::with_capacity(&layout, 4).unwrap();
        let mut out = Aligned::zeros(layout.padded()).unwrap();
        diagonal_prior(&layout, &vec![1.0; p], &mut u, &mut d);
        let count = allocations(|| {
            columns.clear();
            for t in 0..4 {
                columns.push(1.0, 0.99, 0)[t] = 1.0;
            }
            fuse(
                &layout,
                Some((&u, &d)),
                &mut u1,
                &mut d1,
                &mut columns,
                0..4,
            );
            fuse(&layout, None, &mut u, &mut d, &mut columns, 0..4);
            variance(&layout, &u, &d, columns.h(0), Some(&mut out));
            diagonal(&layout, &u, &d, &mut out);
        });
        assert_eq!(count, 0, "p = {p}");
        assert!(u[..] == u1[..] && d[..] == d1[..]);
    }
}

#[test]
fn a_forced_path_runs_and_is_counted() {
    for path in Path::available() {
        let layout = Layout::with_path(40, path).unwrap();
        let (mut u, mut d) = (vec![0.0; layout.u_len()], vec![0.0; layout.d_len()]);
        diagonal_prior(&layout, &[1.0; 40], &mut u, &mut d);
        let mut columns = Columns::<f64>::with_capacity(&layout, 1).unwrap();
        columns.push(1.0, 1.0, 0)[..40].fill(1.0);
        let before = Path::runs(path.name());
        fuse(&layout, None, &mut u, &mut d, &mut columns, 0..1);
        assert_eq!(Path::runs(path.name()), before + 1);
        assert_eq!(columns.q(0), 40.0);
    }
}

#[test]
fn the_small_path_has_the_same_bits_on_every_machine() {
    for p in [1, 4, 5, 10, 16] {
        let mut results = vec![];
        for path in Path::available() {
            let layout = Layout::with_path(p, path).unwrap();
            let (mut u, mut d) = (vec![0.0f32; layout.u_len()], vec![0.0; layout.d_len()]);
            diagonal_prior(&layout, &vec![2.0; p], &mut u, &mut d);
            let mut columns = Columns::<f32>::with_capacity(&layout, 8).unwrap();
            let mut x = 0.3f32;
            for _ in 0..8 {
                for h in &mut columns.push(1.3, 0.97, 0)[..p] {
                    x = 3.7 * x * (1.0 - x);
                    *h = x;
                }
            }
            let before = Path::runs("index-order");
            let growth = fuse(&layout, None, &mut u, &mut d, &mut columns, 0..8);
            assert_eq!(Path::runs("index-order"), before + 1);
            results.push((u, d, columns.b(7).to_vec(), columns.q(7), growth));
        }
        assert!(results.iter().all(|r| *r == results[0]), "p = {p}");
    }
}
