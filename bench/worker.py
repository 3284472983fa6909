"""One peer in a process of its own: `python bench/worker.py NAME THREADS`, asked by workers.py through a pipe.

So every peer has its own BLAS and XLA threads, its own memory, and cannot take the others with it when it fails. With one
thread all processes are bound to the same one core.
"""

import os
import pickle
import sys


def bind(threads: int) -> None:
    """Leave this process as many cores as threads, the same for all peers (where the system can)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


class Work:
    """What can be asked."""

    def __init__(self, name: str) -> None:
        import importlib

        from contender import memory
        from peers import PEERS

        self.peer = PEERS[name]
        importlib.import_module(self.peer.module)
        self.imported = memory().get("rss_mb")
        self.contender = None

    def prepare(self, case, seconds, clock):
        """Rows a turn."""
        from contender import Contender

        self.contender = None  # the memory of the case before is given back first
        self.contender = Contender(self.peer, case, seconds, clock)
        return self.contender.rows

    def turn(self):
        """Seconds a row."""
        return self.contender.turn() / self.contender.rows

    def finish(self):
        """theta after the last turn, and memory."""
        from contender import memory

        return self.contender.theta(), memory() | {"imported_mb": self.imported}

    def theta_after(self, rows):
        return self.contender.theta_after(rows)

    def along(self, seconds):
        return self.contender.along(seconds)


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints goes to stderr
    bind(int(sys.argv[2]))
    work = None
    while True:
        try:
            request, *arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            work = work or Work(sys.argv[1])
            answer = True, getattr(work, request)(*arguments)
        except Exception as reason:
            answer = False, f"{type(reason).__name__}: {reason}"
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()
