"""What a peer is."""

from typing import Any, ClassVar

import numpy as np
from cases import CALL, STREAM, Case


class Peer:
    """A way to do the work of a case. A subclass in a file of this folder is found by itself: nothing else is to be changed.

    Its module imports nothing heavy at its top: the imports are in `__init__`, which sees one case that `can` said yes to.
    """

    name: ClassVar[str]
    rank: ClassVar[int]  # order of the columns
    module: ClassVar[str] = "numpy"  # what it needs; not installed: reported as such
    distribution: ClassVar[str] = "numpy"  # whose version and size are reported
    variant_of: ClassVar[str | None] = None  # kfng's variants have rows of their own in the table, not columns
    works: ClassVar[tuple[str, ...]] = (CALL, STREAM)
    has_theta: ClassVar[bool] = True  # False: a limit, which learns nothing
    goes_on: ClassVar[bool] = True  # False: every `run` starts from the prior

    @classmethod
    def does(cls, case: Case) -> bool:
        """Whether it does this work at all."""
        return case.work in cls.works and cls.can(case)

    @classmethod
    def can(cls, case: Case) -> bool:
        """Whether it can, of its `works`, do this one."""
        raise NotImplementedError

    def __init__(self, case: Case) -> None:
        self.case, self.problem = case, case.problem

    def prepare(self, X: np.ndarray, Y: np.ndarray) -> Any:
        """The rows as this peer wants them; not timed."""
        return X, Y

    def reset(self) -> None:
        """Back to the prior; not timed."""
        raise NotImplementedError

    def run(self, rows: Any) -> None:
        """Learn from rows that `prepare` made: this is timed."""
        raise NotImplementedError

    def theta(self) -> np.ndarray:
        """(p,) now; of a bank (keys·p,), key after key."""
        raise NotImplementedError


def scalar_full(case: Case) -> bool:
    """One output, a full covariance and no state."""
    return case.problem.kind not in ("softmax", "rnn") and not case.problem.diagonal


def plain_linear(case: Case) -> bool:
    """What libraries without threads, networks or float32 of their own do: recursive least squares."""
    return case.label == "linear" and case.dtype == "float64" and case.threads == 1


def stream(case: Case) -> bool:
    return case.work == STREAM
