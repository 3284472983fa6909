"""Where the time of one case goes: `make profile CASE=stream-linear-p100`; `--peer` profiles another contender.

perf where it is there and may count, else valgrind's callgrind (instructions instead of time), else what is missing is said.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import one_thread  # noqa: F401  (before NumPy)
from cases import BY_NAME
from contender import Contender
from peers import PEERS

OUTPUT = Path(__file__).parent / "output"
SHOWN = 40  # lines


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--case", required=True)
    options.add_argument("--peer", default="kfng")
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--tool", choices=("perf", "callgrind"))
    options.add_argument("--inside", help=argparse.SUPPRESS)  # the process that is profiled: how it says that it begins
    chosen = options.parse_args()
    if chosen.case not in BY_NAME:
        options.error(f"no case {chosen.case!r}; there are {', '.join(BY_NAME)}")
    if chosen.peer not in PEERS:
        options.error(f"no peer {chosen.peer!r}; there are {', '.join(PEERS)}")
    if chosen.inside:
        work(chosen.case, chosen.peer, chosen.seconds, chosen.inside)
    else:
        profile(chosen)


def work(case: str, peer: str, seconds: float, profiler: str) -> None:
    """Turns of the case for so long; imports and the making of data come before the profiler is switched on."""
    contender = Contender(PEERS[peer], BY_NAME[case], min(0.05, seconds), "cpu")
    if profiler == "callgrind":
        subprocess.run(["callgrind_control", "-i", "on", str(os.getpid())], check=True, stdout=subprocess.DEVNULL)
    else:
        Path(profiler).write_text("enable\n")  # perf's fifo
    stop = time.process_time() + seconds
    while time.process_time() < stop:
        contender.turn()


def profile(chosen: argparse.Namespace) -> None:
    OUTPUT.mkdir(exist_ok=True)
    tool = chosen.tool or ("perf" if perf_works() else "callgrind" if shutil.which("valgrind") else None)
    if tool is None:
        sys.exit(
            "no profiler works here: perf is missing or may not count (Linux: install linux-perf, and "
            "`sysctl kernel.perf_event_paranoid=1`), and valgrind is missing (install valgrind)"
        )
    inside = [sys.executable, __file__, "--case", chosen.case, "--peer", chosen.peer, "--seconds", str(chosen.seconds)]
    {"perf": with_perf, "callgrind": with_callgrind}[tool](inside)


def perf_works() -> bool:
    perf = shutil.which("perf")
    if perf is None:
        return False
    probe = [perf, "record", "-q", "-o", os.devnull, "--", sys.executable, "-c", "pass"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def with_perf(inside: list[str]) -> None:
    data, fifo = str(OUTPUT / "perf.data"), OUTPUT / "perf.fifo"
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)
    command = ["perf", "record", "-q", "-g", "-o", data, "--delay=-1", f"--control=fifo:{fifo}", "--"]
    subprocess.run([*command, *inside, "--inside", str(fifo)], check=True)
    fifo.unlink()
    report = ["perf", "report", "-i", data, "--stdio", "--no-children", "-g", "none", "--percent-limit", "0.3"]
    for order in ("dso", "dso,symbol"):
        show(subprocess.run([*report, "--sort", order], capture_output=True, text=True, check=True).stdout)
        print()
    print(f"all of it: perf report -i {os.path.relpath(data)}")


def with_callgrind(inside: list[str]) -> None:
    data = str(OUTPUT / "callgrind.out")
    command = ["valgrind", "--tool=callgrind", "-q", f"--callgrind-out-file={data}", "--instr-atstart=no", *inside]
    subprocess.run([*command, "--inside", "callgrind"], check=True)
    show(subprocess.run(["callgrind_annotate", data], capture_output=True, text=True, check=True).stdout)
    print(
        f"instructions, not time; valgrind runs AVX2 code at most. All of it: callgrind_annotate {os.path.relpath(data)}"
    )


def show(report: str) -> None:
    lines = [line for line in report.splitlines() if line.strip() and not line.startswith("#")]
    print("\n".join(line[:160] for line in lines[:SHOWN]))


if __name__ == "__main__":
    main()
