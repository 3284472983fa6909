//! Threads that share the passes of one call: made when the call enters, gone when it returns, asleep while there is nothing to do.
//!
//! Between calls there are no threads, so that nothing is left over for a fork or for the end of the process. What a pass computes does
//! not depend on how many there are: each takes some columns of the wave through all of U, one behind the other.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, scope};

/// From this p on threads pay.
const WORTHWHILE: usize = 1000;
/// No pass has more than so many columns that could be shared out.
pub const MAX: usize = 16;

/// The p from which threads are used; tests lower it.
static FROM: AtomicUsize = AtomicUsize::new(WORTHWHILE);

thread_local! {
    static TEAM: RefCell<Option<Arc<Team>>> = const { RefCell::new(None) };
    static RUNS: Cell<u64> = const { Cell::new(0) };
}

/// Makes every later call use threads from this p on (`None`: from where they pay). For tests.
pub fn force_from(p: Option<usize>) {
    FROM.store(p.unwrap_or(WORTHWHILE), Ordering::Relaxed);
}

/// Whether a call on a belief of p parameters gains by threads.
pub fn pay(p: usize) -> bool {
    p >= FROM.load(Ordering::Relaxed)
}

/// How many passes of this thread were shared out.
pub fn runs() -> u64 {
    RUNS.get()
}

/// Runs `call` with so many threads at hand, this one included. Where they cannot be had it runs with fewer, to the same bits.
pub fn enter<R>(threads: usize, p: usize, call: impl FnOnce() -> R) -> R {
    let threads = threads.min(MAX);
    if threads < 2 || !pay(p) || TEAM.with_borrow(Option::is_some) {
        return call();
    }
    let team = Arc::new(Team::default());
    scope(|scope| {
        let closing = Closing(&team);
        for index in 1..threads {
            let (builder, team) = (Builder::new().name(format!("kfng-{index}")), &team);
            if builder
                .spawn_scoped(scope, move || team.work(index))
                .is_err()
            {
                break;
            }
            team.turn().workers = index;
        }
        TEAM.set(Some(Arc::clone(&team)));
        let result = call();
        drop(closing);
        result
    })
}

/// Ends the threads, also when the call panics.
struct Closing<'a>(&'a Team);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        TEAM.take();
        self.0.turn().closed = true;
        self.0.start.notify_all();
    }
}

/// Threads at hand for a pass over a belief of p parameters, this one included.
pub(crate) fn available(p: usize) -> usize {
    if !pay(p) {
        return 1;
    }
    1 + TEAM.with_borrow(|team| team.as_ref().map_or(0, |team| team.turn().workers))
}

/// Runs `job(0)` here and `job(i)` on the i-th other thread of the call, for all it has; returns when all are done.
pub(crate) fn share(job: &(dyn Fn(usize) + Sync)) {
    RUNS.set(RUNS.get().wrapping_add(1));
    match TEAM.with_borrow(Clone::clone) {
        Some(team) => team.run(job),
        None => job(0),
    }
}

/// A job of whom the lifetime is not known to the compiler.
#[derive(Clone, Copy)]
struct Job(&'static (dyn Fn(usize) + Sync));

#[derive(Default)]
struct Turn {
    job: Option<Job>,
    /// Counts the jobs.
    number: u64,
    workers: usize,
    /// Threads that have not finished the job.
    left: usize,
    failed: bool,
    closed: bool,
}

#[derive(Default)]
struct Team {
    turn: Mutex<Turn>,
    start: Condvar,
    finish: Condvar,
}

impl Team {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(unsafe_code, reason = "the threads outlive what they work on")]
    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        // SAFETY: a lifetime is lengthened. No thread touches the job once `left` is 0, and this function does not end before, not even by
        // unwinding: whatever `job(0)` does is caught.
        let job = Job(unsafe {
            std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(job)
        });
        let mut turn = self.turn();
        (turn.job, turn.number, turn.left) = (Some(job), turn.number + 1, turn.workers);
        drop(turn);
        self.start.notify_all();
        let own = catch_unwind(AssertUnwindSafe(|| (job.0)(0)));
        let mut turn = self.turn();
        while turn.left > 0 {
            turn = self
                .finish
                .wait(turn)
                .unwrap_or_else(PoisonError::into_inner);
        }
        turn.job = None;
        let failed = std::mem::take(&mut turn.failed);
        drop(turn);
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!failed, "a thread of the call has failed");
    }

    /// What a thread does until the call ends.
    fn work(&self, index: usize) {
        let (mut turn, mut seen) = (self.turn(), 0);
        loop {
            if turn.closed {
                return;
            }
            if let (Some(job), true) = (turn.job, turn.number > seen) {
                seen = turn.number;
                drop(turn);
                let done = catch_unwind(AssertUnwindSafe(|| (job.0)(index)));
                turn = self.turn();
                turn.left -= 1;
                turn.failed |= done.is_err();
                if turn.left == 0 {
                    self.finish.notify_one();
                }
            } else {
                turn = self
                    .start
                    .wait(turn)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// How far a stage of a pipeline has come; the next one waits for it.
#[derive(Default)]
pub(crate) struct Progress {
    done: Mutex<usize>,
    more: Condvar,
}

impl Progress {
    /// Waits until more than `part` parts are done.
    pub(crate) fn wait_for(&self, part: usize) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        while *done <= part {
            done = self.more.wait(done).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// One more part is done.
    pub(crate) fn advance(&self, to: usize) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner) = to;
        self.more.notify_one();
    }
}

/// Lets the next stage go on should this one panic: nobody waits for ever.
pub(crate) struct Finished<'a>(pub &'a Progress);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.advance(usize::MAX);
    }
}
