"""A row of 10 features in river: `kfng.river.Regressor` and river's own BayesianLinearRegression.

`python bench/river_rows.py` (needs the extra river). Turn by turn in one run; the median of the rounds.
"""

from time import perf_counter

import numpy as np
from river.linear_model import BayesianLinearRegression

from kfng.river import Regressor

D, N, ROUNDS = 10, 100, 60


def main():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D))
    y = (X @ rng.normal(size=D) + rng.normal(size=N)).tolist()
    xs = [dict(zip([f"x{j}" for j in range(D)], x, strict=True)) for x in X.tolist()]
    models = {"kfng": Regressor(), "river": BayesianLinearRegression()}
    acts = {
        "learn_one": lambda model, x, target: model.learn_one(x, target),
        "predict_one": lambda model, x, target: model.predict_one(x),
        "both": lambda model, x, target: (model.predict_one(x), model.learn_one(x, target)),
    }
    times = {(act, name): [] for act in acts for name in models}
    for _ in range(ROUNDS):
        for act, do in acts.items():
            for name, model in models.items():
                begun = perf_counter()
                for x, target in zip(xs, y, strict=True):
                    do(model, x, target)
                times[act, name].append((perf_counter() - begun) / N)
    for act in acts:
        own, its = (1e6 * np.median(times[act, name]) for name in models)
        print(f"{act:12} kfng {own:6.1f} µs   BayesianLinearRegression {its:6.1f} µs   ratio {its / own:.1f}")


if __name__ == "__main__":
    main()
