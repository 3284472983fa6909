"""What a filter offers besides its step, written once for kfng and for its reference."""

from __future__ import annotations

import warnings as _warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from . import _border
from ._filter_known import Known
from ._filter_learn import Learning
from ._filter_predict import Predicting
from ._filter_save import Saving
from ._health import Explanation, band, coverage, explain, warnings
from ._hidden import Hidden
from ._settings import Settings
from .errors import FarOffWarning
from .reference.belief import Belief, Full
from .reference.family import Family
from .reference.guards import Guards
from .reference.model import Model
from .reference.robust import Robust
from .reference.rule import Kalman, Rule
from .reference.sensitivity import Sensitivity

Float = NDArray[np.float64]
COUNTERS = ("n_seen", "n_updates", "missing", "skipped", "clipped", "clamped", "windup", "floored")
MOST_SHOWN = 1000
"""Parameters of a filter whose repr reads its gauges, O(p²)."""


class FilterBase(Learning, Predicting, Known, Saving, Hidden):
    """An online estimate of theta with its uncertainty: a Kalman filter that is, exactly, a natural gradient.

    Parameters
    ----------
    model : Model
        The output z = h(u, theta) in link coordinates: `Linear`, `MLP`, `External`.
    family : Family
        The law of y given z: `Gaussian`, `Bernoulli`, `Poisson` and the others.
    belief : Belief, default Full(1.0)
        What is kept of the covariance of theta, and the prior.
    rule : Rule, default Kalman()
        How old evidence fades: `Kalman`, `Fading`, `NaturalGradient`, `ProcessNoise`.
    guards : Guards
        All on by default; `Guards.none()` is the bare mathematics.
    theta : (p,), optional
        Where the filter starts; zeros for Linear, drawn from `seed` for networks.
    iterations : int or 'implicit', default 1
        Linearisations of a row (damped Gauss-Newton towards the mode), or the implicit update of a one-output linear model.
    evidence : bool, default False
        Sum log predictive densities, for `log_evidence`.
    dtype : 'float64' or 'float32'
    num_threads : int, optional
        Threads that `update_many` may use from 1000 parameters on, where rows share a pass (a linear model with Gaussian
        noise, or several outputs). Default: the variable KFNG_NUM_THREADS, else one. No bit depends on it.
    feature_names : list of d strings, optional
        The order of the inputs of a row that comes as a dict, or of a table's columns; shown in error messages and by
        `kfng inspect`.
    categories : list of strings, optional
        Columns of tables, and names in dicts, that say one of several levels: each level is a feature `column=level`,
        named so in `feature_names`, which is 1 where the column says that level and 0 elsewhere.
    class_names : list of strings, optional
        Of `Bernoulli` (two) and `Categorical`: what the classes 0, 1, ... are called, kept in the file; y stays a number.
    seed : int, default 0
        Of a random theta_0.
    sensitivity : Sensitivity, default RTRL()
        Of recurrent models: how the influence of theta on the state is carried along.
    state : (n,), optional
        Of recurrent models: the initial state, 0 by default.
    state_prior : number, (n,) or (n, n), optional
        Covariance of an unknown initial state of mean `state`; by default the initial state is known.
    robust : None, 'imq', 'student', 'winsor', or Imq, Student, Winsor, default None
        With a Gaussian family: what a row counts for that is far from its prediction. `Step.robust_weight` is what it
        counted for.

    Raises
    ------
    ParameterError, ShapeError, DtypeError, NonFiniteError, NotPositiveDefiniteError, UnknownNameError, UnsupportedError
    """

    # -- construction
    def __new__(
        cls,
        model: Model,
        family: Family,
        *,
        belief: Belief = Full(1.0),
        rule: Rule = Kalman(),
        sensitivity: Sensitivity | None = None,
        guards: Guards = Guards(),
        theta: Any = None,
        state: Any = None,
        state_prior: Any = None,
        iterations: int | str = 1,
        robust: Robust | str | None = None,
        evidence: bool = False,
        dtype: Any = "float64",
        num_threads: int | None = None,
        feature_names: Any = None,
        categories: Any = None,
        class_names: Any = None,
        seed: int = 0,
    ) -> Self:
        settings = Settings.build(
            model,
            family,
            belief=belief,
            rule=rule,
            sensitivity=sensitivity,
            guards=guards,
            theta=theta,
            state=state,
            state_prior=state_prior,
            iterations=iterations,
            robust=robust,
            evidence=evidence,
            dtype=dtype,
            num_threads=num_threads,
            feature_names=feature_names,
            categories=categories,
            class_names=class_names,
            seed=seed,
        )
        return cls._from_settings(settings)

    def __init__(self, *args: Any, **options: Any) -> None:
        """Everything is set up in `__new__`, so that subclasses may have an `__init__` of their own."""

    @classmethod
    def from_rows(
        cls,
        U0: Any,
        Y0: Any = None,
        model: Any = None,
        family: Any = None,
        *,
        target: Any = None,
        weight: Any = None,
        dt: Any = None,
        time: Any = None,
        center: Any = None,
        on_bad_row: str = "raise",
        **same: Any,
    ) -> Self:
        """A filter that starts at the level and scale of its first rows, which are then conditioned on in order.

        The output intercepts start at the link of the mean of Y0 (counts + 1/2); each weight's prior variance is the
        variance of y in link units over that of its feature, times the belief's prior_variance. A recurrent model gets
        `input_center` and `input_scale` from U0 (where it has none of its own), its readout starts in the units of y, and
        a weight's prior variance is 1/fan_in, in those units for the readout.
        The prior of the intercept speaks of u = 0. Where the mean of a feature is many times its spread (a year), that holds
        back what is learned: `center="mean"`, or rows from which it was subtracted. A `FarOffWarning` says so.

        Parameters
        ----------
        U0 : (n, d), or a table
            The first rows. Of a table all columns are features but those named in target, weight, dt and time, or those that
            `feature_names` names. Columns of strings or categories, and those named in `categories`, give a feature
            `column=level` for each level that they declare or have in these rows.
        Y0 : (n,) or (n, k)
            NaN is missing.
        model : Model
            Also a function of the number of features that gives one, as the class `Linear` does.
        family : Family
            As for the constructor.
        target, weight, dt, time
            As for `update_many`; the weights have their part in level and scale as well.
        center : None, 'mean' or (d,), default None
            With `Full`: the row that the prior of the intercepts (of an MLP: of the first biases) speaks of, of mean features
            or this one, in the place of u = 0. The prior is then a covariance of weights and intercept; rows stay as they are.
        on_bad_row : 'raise' or 'skip'
            As for `update_many`. Level and scale come from the rows in which nothing is missing.
        **same
            As for the constructor.

        Raises
        ------
        ShapeError, DtypeError, ParameterError, NonFiniteError, UnsupportedError
        """
        from . import _from_rows

        if _border.is_table(U0):
            from . import _tables

            asked = same.get("feature_names"), same.get("categories")
            rows, features, categories = _tables.first_rows(U0, Y0, target, weight, dt, time, *asked)
            U0, Y0, weight, dt, time = rows.U, rows.Y, rows.weight, rows.dt, rows.time
            same |= {"feature_names": features, "categories": categories}
        else:
            _border.no_target(target)
        if callable(model) and not isinstance(model, Model):
            model = model(_border.matrix_width("U0", U0))
        flt = cls._from_settings(_from_rows.start(Settings.build(model, family, **same), U0, Y0, weight, center))
        said = None if center is not None else _from_rows.far_off(flt.settings, U0)
        if said is not None:
            _warnings.warn(said, FarOffWarning, stacklevel=2)
        flt.update_many(U0, Y0, weight=weight, dt=dt, time=time, trace=False, on_bad_row=on_bad_row)
        return flt

    # -- how it fares
    def health(self) -> dict[str, Any]:
        """Counters of what the guards did, and gauges of how the stream looks.

        n_seen, n_updates; missing, skipped (refused rows), clipped, clamped, windup, floored; winsorised (innovations that
        `Winsor` cut), downweighted (rows that `Imq` or `Student` counted for less than half); rho_max (largest
        h'Ph/R of a row), mean_nis (mean squared innovation over its variance, 1 in a well-specified filter, as it was before a
        robust policy looked at it), mean_nis_low and mean_nis_high (its 95 % band of a Gaussian family, else NaN),
        coverage (share of y inside the 90 % interval of its prediction, over the last 1000 rows that taught something, newer
        ones counting more; of `Gaussian`, NaN of other families and below 30 rows), coverage_low and coverage_high (its 95 % band),
        min_pivot_ratio (smallest D_j/P_jj: near 0 where parameters are nearly collinear; NaN with a gradient rule).

        Of a recurrent model also influence_max (largest ``|ds/dtheta|``), spectral_radius (of the recurrent weights: above 1
        what happened long ago may grow), residual_autocorrelation (of successive rows: residuals that hang together count
        as more evidence than they are; a noise variance of the residuals' times 1 + 2·sum of autocorrelations is the
        remedy) and restarts (how often the influence on an entry of the state started again at its bound).
        """
        state = self._state()
        result: dict[str, Any] = {name: int(x) for name, x in zip(COUNTERS, state["counters"], strict=True)}
        result |= downweighted(self.settings, state)
        nis_sum, nis_count, rho_max = (float(x) for x in state["gauges"])
        mean_nis = nis_sum / nis_count if nis_count else float("nan")
        pivots = float("nan") if self.settings.rule.gradient else self._posterior().pivot_ratio()
        result |= {
            "rho_max": rho_max,
            "mean_nis": mean_nis,
            **band(self.settings, nis_count),
            **coverage(self.settings, state),
            "min_pivot_ratio": pivots,
        }
        return result if self.settings.sensitivity is None else result | self._gauges()

    def explain(
        self, u: Any, y: Any, *, weight: Any = 1.0, dt: Any = _border.NO_TIME, offset: Any = 0.0
    ) -> Explanation:
        """What `update` of this row would do, and why; nothing changes. O(p²) memory: a copy takes the row. Of a bank: ``bank[key].explain``.

        Parameters
        ----------
        u, y, weight, dt, offset
            As for `update`.

        Returns
        -------
        Explanation
            `fate`, 'refused', 'skipped', 'winsorised', 'downweighted', 'clipped' or 'used', and `reason`, a sentence; str()
            of it is both, with what a robust policy took the row for and whether the wind-up guard or the clamp of outputs
            acted. `distance`: how many standard deviations y is from its prediction. `step` and `error`: what
            `update` would return or raise.

        Raises
        ------
        UnsupportedError
            A model that takes no inputs.
        """
        return explain(self, u, y, weight=weight, dt=dt, offset=offset)

    # -- growing
    def add_features(self, n: int, *, prior_variance: Any = None, names: Any = None) -> Self:
        """A filter of a model with n features more, in the order of the old ones and then these.

        The old block of theta and of its covariance is the same bit for bit; what is new is independent of it, with mean
        0 and its prior. For a feature that was 0 in all rows this is what a filter that had it from the start would be
        (with `Kalman()`; of a network one whose first weights of that feature start at 0). A cell scales what is new by 1
        around 0. This filter stays as it is. O(p²), with a diagonal belief O(p).

        Parameters
        ----------
        n : int
        prior_variance : number, (n k,) or (n k, n k), optional
            Of the new weights, in the order of `parameters["weight"][:, -n:]` (of an MLP "weight0", of a cell "weight_ih");
            relative to sigma² where that is learned. Default: the belief's own where that is a number, else the median of those
            of these weights.
        names : list of n strings
            With `feature_names`, and only with them.

        Raises
        ------
        UnsupportedError
            A model that lives elsewhere; another rule than `Kalman()`, `Fading` and
            `ProcessNoise(number)`; another sensitivity than RTRL, or an unknown initial state.
        ParameterError, ShapeError, NonFiniteError, DtypeError
        """
        from . import _grow

        return _grow.add_features(self, n, prior_variance, names)

    def add_outputs(self, n: int, *, prior_variance: Any = None, level: Any = None, names: Any = None) -> Self:
        """A filter of a linear model with n outputs more: with `Categorical` n new classes, the last ones.

        As with `add_features` the old block is the same bit for bit, and the new one independent of it.

        Parameters
        ----------
        n : int
        prior_variance : number, (n (d + 1),) or square, optional
            Of the new parameters, in their order. Default: as for `add_features`.
        level : (n,), optional
            Where their intercepts start, by default at 0.
        names : list of n strings
            Of the new classes; with `class_names`, and only with them.

        Raises
        ------
        UnsupportedError
            As `add_features`; also a family other than `Categorical` and `Gaussian(variance)`.
        ParameterError, ShapeError, NonFiniteError, DtypeError
        """
        from . import _grow

        return _grow.add_outputs(self, n, prior_variance, level, names)

    # -- other coordinates
    def change_units(self, *, center: Any = 0.0, scale: Any = 1.0) -> Self:
        """A filter of a linear model, or an MLP, that takes u' = (u - center)/scale in the place of u; the rest is the same.

        Exact: weights become scale·w, biases c + center'w, and their covariance, the prior and process noise go with
        them, so that every prediction and what is learned later are the same function of the row. The wind-up guard
        alone looks at single parameters, and after a shift of the features at other ones. This filter stays as it is.
        O(p²), and O(p²) for each output (unit of the first layer) where `center` is not 0.

        Parameters
        ----------
        center : number or (d,), default 0
            What is subtracted from the features; with a diagonal belief, with towards="prior" and without an intercept 0.
        scale : number or (d,) > 0, default 1
            By what they are divided then.

        Raises
        ------
        UnsupportedError
            Another model, a gradient rule, or a `center` where it has to be 0.
        ParameterError, ShapeError, NonFiniteError, DtypeError, NotPositiveDefiniteError

        Examples
        --------
        >>> import kfng
        >>> flt = kfng.Filter(kfng.Linear(1), kfng.Gaussian(1.0))
        >>> _ = flt.update([2015.0], 3.0)
        >>> since_2000 = flt.change_units(center=2000.0)
        >>> abs(since_2000.predict([[16.0]]) - flt.predict([[2016.0]])).max() < 1e-12
        True
        """
        from . import _units

        return _units.change_units(self, center, scale)

    def __repr__(self) -> str:
        s = self.settings
        shown = [repr(s.model), repr(s.family), *(f"{name}={value!r}" for name, value in s.arguments().items())]
        return f"Filter({', '.join(shown)})" + "".join(f"  # ⚠ {line}" for line in self._warnings())

    def _warnings(self) -> list[str]:
        """Gauges that are out of their bands; none of a filter so large that reading them would take long."""
        return [] if self.settings.size > MOST_SHOWN else list(warnings(self.settings, self.health()))


def downweighted(settings: Settings, state: dict[str, NDArray[Any]]) -> dict[str, int]:
    """What `health()` says of a robust policy, from the states of one filter or of many."""
    cuts, count = settings.robust is not None and settings.robust.cuts, int(state.get("robust", np.zeros(1)).sum())
    return {"winsorised": count if cuts else 0, "downweighted": 0 if cuts else count}
