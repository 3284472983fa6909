"""Threads that start together."""

import threading

HANG = 60.0
"""Seconds after which a thread, or a process, counts as hanging."""


def run_all(targets):
    """Start them together; an exception in one is raised here, a hang fails."""
    failures, gate = [], threading.Barrier(len(targets))

    def guarded(target):
        try:
            gate.wait(HANG)
            target()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(target,), daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    if failures:
        raise failures[0]
