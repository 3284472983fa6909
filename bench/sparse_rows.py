"""Rows of 30 features out of a million: kfng with variances alone, and scikit-learn's SGDClassifier on the same CSR.

`python bench/sparse_rows.py` (needs the extra sklearn). Turn by turn in one run; the median of the rounds.
"""

from time import perf_counter

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import SGDClassifier

import kfng

D, N, ENTRIES, ROUNDS = 10**6, 20_000, 30, 9


def rows():
    """Words as they come: a few in most rows, most in few."""
    rng = np.random.default_rng(0)
    words = (1000 * rng.pareto(1.0, size=N * ENTRIES)).astype(np.int64) % D
    X = csr_matrix((np.ones(len(words)), words, np.arange(0, len(words) + 1, ENTRIES)), shape=(N, D))
    X.sum_duplicates()
    return X, (rng.random(N) < 0.5).astype(float)


def filter_of(rule):
    return kfng.Filter(kfng.Linear(D, 1), kfng.Bernoulli(), belief=kfng.Diagonal(), rule=rule)


def main():
    X, y = rows()
    plain, fading = filter_of(kfng.Kalman()), filter_of(kfng.Fading(half_life=10_000))
    descent = SGDClassifier(loss="log_loss")
    contenders = {
        "kfng": lambda: plain.update_many(X, y, trace=False),
        "kfng, forgetting": lambda: fading.update_many(X, y, trace=False),
        "SGDClassifier.partial_fit": lambda: descent.partial_fit(X, y, classes=[0, 1]),
    }
    times = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, learn in contenders.items():
            begun = perf_counter()
            learn()
            times[name].append(perf_counter() - begun)
    dense = X[:20].toarray()
    begun = perf_counter()
    plain.update_many(dense, y[:20], trace=False)
    print(f"{'kfng, dense rows':28}{1e6 * (perf_counter() - begun) / 20:10.1f} µs a row")
    for name, found in times.items():
        print(f"{name:28}{1e6 * np.median(found) / N:10.1f} µs a row {N / np.median(found):12,.0f} rows/s")


if __name__ == "__main__":
    main()
