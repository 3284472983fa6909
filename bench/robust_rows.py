"""What `robust=` costs: the same rows with each policy and without, one thread.

`python bench/robust_rows.py`. Turn by turn in one run; the median of the rounds and of their ratios.
"""

from time import perf_counter

import numpy as np

import kfng

SIZES, POLICIES, ROUNDS = {10: 20_000, 100: 3_000, 500: 300}, (None, "imq", "student", "winsor"), 11


def learn(X, y, robust):
    flt = kfng.Filter(kfng.Linear(X.shape[1]), kfng.Gaussian(), robust=robust)
    begun = perf_counter()
    flt.update_many(X, y, trace=False)
    return perf_counter() - begun


def main():
    print(f"{'p':>5}" + "".join(f"{str(policy):>22}" for policy in POLICIES))
    for p, n in SIZES.items():
        rng = np.random.default_rng(0)
        X = rng.normal(size=(n, p - 1))
        y = X.sum(axis=1) + rng.standard_t(2, size=n)
        times = np.array([[learn(X, y, policy) for policy in POLICIES] for _ in range(ROUNDS)])
        per_row = 1e6 * np.median(times, axis=0) / n
        ratios = np.median(times / times[:, :1], axis=0)
        print(f"{p:>5}" + "".join(f"{us:>12.2f} µs {ratio:>5.2f}x" for us, ratio in zip(per_row, ratios, strict=True)))


if __name__ == "__main__":
    main()
