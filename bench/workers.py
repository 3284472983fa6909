"""Starts the processes of the peers and asks them; what is not installed, cannot or fails is said, never left out."""

import contextlib
import importlib.util
import os
import pickle
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from cases import Case
from peers.base import Peer

HERE = Path(__file__).parent
PATIENCE = 300.0  # seconds for one answer
POOLS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS", "NPROC")


class Unable(Exception):
    """Why a peer has no figure: 'not installed', 'does not do this', 'failed: ...'."""


class Worker:
    """The process of one peer with so many threads."""

    def __init__(self, peer: type[Peer], threads: int, log: Path) -> None:
        flags = "--xla_cpu_multi_thread_eigen=" + ("false" if threads == 1 else "true")
        environment = os.environ | dict.fromkeys(POOLS, str(threads)) | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "worker.py"), peer.name, str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment,
            )

    def ask(self, *request: Any) -> Any:
        """The answer; Unable with the reason if there is none."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()
            if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
                raise TimeoutError(f"no answer in {PATIENCE:.0f} s")
            good, answer = pickle.load(self.process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as reason:  # TimeoutError is an OSError
            self.stop()
            raise Unable(f"failed: {reason or 'its process ended'}") from reason
        if not good:
            raise Unable(f"failed: {answer}")
        return answer

    def stop(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):  # what was not written yet has nobody to go to
                pipe.close()
        self.process.wait()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


class Workers:
    """The processes of a session, each started when it is first needed and kept."""

    def __init__(self, log: Path) -> None:
        self._log, self._workers = log, dict[tuple[str, int], Worker]()
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")

    def ready(self, peer: type[Peer], case: Case, seconds: float, clock: str = "wall") -> tuple[Worker, int]:
        """The peer's process, prepared for the case, and its rows a turn. Raises Unable."""
        if not peer.does(case):
            raise Unable("does not do this")
        if importlib.util.find_spec(peer.module.partition(".")[0]) is None:
            raise Unable("not installed")
        key = (peer.name, case.threads)
        if key not in self._workers or not self._workers[key].alive:
            self._workers[key] = Worker(peer, case.threads, self._log)
        return self._workers[key], self._workers[key].ask("prepare", case, seconds, clock)

    def stop(self) -> None:
        for worker in self._workers.values():
            worker.stop()
