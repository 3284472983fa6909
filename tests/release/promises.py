"""Which check or test holds which promise. Names of tests are checked to exist; figures are in docs/reliability.json alone."""

from __future__ import annotations

PROMISES = [
    (
        "float64, full belief, linear Gaussian, R known, up to 1e6 rows: never indefinite for rho <= 1e16; theta within 1e-9 sd of the"
        " exact posterior mean at kappa <= 1e8, 1e-6 at 1e14; P within 1e-6",
        "N1, N2",
    ),
    ("forgetting >= 1e-3 with excitation: the error does not grow with time, theta and P within 1e-11", "N2"),
    (
        "float32: never indefinite; within 0.15 sd at kappa <= 1e4, rho <= 1e12, up to 1e6 rows; with forgetting within 1e-3 sd for ever",
        "N1, N2",
    ),
    ("without excitation no variance passes 4 times its prior, 2 times with towards='prior'", "N3"),
    ("no input, finite or not, makes the state non-finite; a refused row leaves it bit-identical", "N6, N8, M2"),
    ("one by one, batched, in any pieces, with any number of threads, saved and resumed: the same bits", "K7, M2, X1"),
    ("no panic, abort or hang can be reached from Python", "K4, M1, M3, M4, M5, X4, X6, X8"),
    (
        "after save() has returned, that state or a later one is what load() gives after kill -9 or power loss; a damaged file is a typed"
        " error; loading runs no code",
        "K1-K8",
    ),
]

ELSEWHERE = [
    ("N3", "the wind-up guard, its control, pauses, many silent columns", ["tests/property/test_windup.py"]),
    (
        "N4",
        "kfng against the reference: every problem, and random draws",
        ["tests/parity/test_parity.py", "tests/parity/test_random.py"],
    ),
    (
        "N5",
        "units, pieces, order, weights, rows given twice, gaps: to the bit",
        ["tests/property/test_metamorphic.py", "tests/property/test_invariances.py", "tests/property/test_chunking.py"],
    ),
    ("N8", "bad rows raise or are skipped, and what stands then", ["tests/boundary/test_bad_rows.py"]),
    (
        "N9",
        "closed forms: recursive least squares, ridge regression, Student's t, quadrature",
        [
            "tests/theory/test_t04_rls.py",
            "tests/theory/test_t06_ridge.py",
            "tests/theory/test_t15_unknown_variance.py",
            "tests/theory/test_families_by_quadrature.py",
        ],
    ),
    (
        "N10",
        "partial derivatives and RTRL by complex steps",
        ["tests/theory/test_t23_recurrent_partials.py", "tests/theory/test_t23_rtrl.py", "tests/theory/test_mlp.py"],
    ),
    ("N11", "coverage of forecasts", ["tests/theory/test_forecast_coverage.py"]),
    ("PSD", "P stays positive for every family, model and rule", ["tests/property/test_psd.py"]),
    ("finite", "no input makes a state non-finite", ["tests/property/test_finite.py"]),
    (
        "K",
        "the container: layout, digests, hostile headers, failing calls, kills; banks and files that were evicted",
        ["tests/boundary/test_checkpoint_file.py", "tests/boundary/test_load_errors.py", "tests/bank/test_saved.py"],
    ),
    (
        "K9",
        "copies, pickles, files of every kind go on to the same bits",
        ["tests/boundary/test_copies.py", "tests/test_joint_saved.py"],
    ),
    ("M1", "inputs that the fuzzer found worth keeping", ["rust/kfng-core/tests/corpus.rs"]),
    ("M2", "a bank as a state machine, against a dict of filters", ["tests/bank/test_machine.py"]),
    ("M3", "dtypes and layouts, one by one", ["tests/boundary/test_arrays.py", "tests/boundary/test_row_errors.py"]),
    ("M4", "sizes that no machine holds", ["tests/boundary/test_hostile_sizes.py"]),
    (
        "M5",
        "a step allocates nothing: a counting allocator; each request of a life refused in turn",
        ["rust/kfng-core/tests/allocations.rs", "rust/kfng-core/tests/exhaustion.rs"],
    ),
    ("M8", "a panic or a fatal signal in any test fails it", ["tests/conftest.py"]),
    (
        "X1-X6",
        "threads on one filter and one bank, inputs overwritten meanwhile, forks, Ctrl-C, the end of the interpreter",
        [
            "tests/boundary/test_concurrency.py",
            "tests/boundary/test_threads.py",
            "tests/bank/test_concurrency.py",
            "tests/boundary/test_forked_in_use.py",
        ],
    ),
]
