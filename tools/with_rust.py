"""Run a command with a Rust toolchain on PATH: `python tools/with_rust.py [--components a,b] [--targets a,b] command ...`.

A cargo of at least the version below is used as it stands. Where there is none, or an older one, the package
`puccinialin` brings one into the folder .rust of this tree (once; `make clean` removes it), and the output says so.
Standard library only: this runs before anything is installed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

NEEDED = (1, 89)
ROOT = Path(__file__).resolve().parent.parent
OWN = ROOT / ".rust"
COMPONENTS = {"rustfmt": "cargo-fmt", "clippy": "cargo-clippy"}


def say(text: str) -> None:
    print(f"kfng: {text}", file=sys.stderr, flush=True)


def version(env: dict[str, str]) -> tuple[int, int] | None:
    """Return the version of the cargo that this environment finds, if one answers and its rustc is there."""
    path = env.get("PATH")
    found = {name: shutil.which(name, path=path) for name in ("cargo", "rustc")}
    if None in found.values():
        return None
    versions = []
    for tool in found.values():
        answer = subprocess.run(
            [tool, "--version"],
            env=env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        match = re.search(r" (\d+)\.(\d+)", answer.stdout)
        if answer.returncode or not match:
            return None
        versions.append((int(match[1]), int(match[2])))
    return min(versions)


def bring() -> dict[str, str]:
    """Install a toolchain into .rust with puccinialin and return the environment variables that select it."""
    info = OWN / "environment.json"
    if not info.exists():
        say("bringing one with the package puccinialin into the folder .rust (once, a minute or so)")
        venv.create(OWN / "venv", with_pip=True, clear=True)
        python = OWN / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "puccinialin>=0.1.9,<0.2"],
            check=True,
        )
        written = OWN / "written.json"
        # puccinialin leaves the machine's own Rust alone; rustup would otherwise refuse to work beside an older one
        env = {**os.environ, "RUSTUP_INIT_SKIP_PATH_CHECK": "yes"}
        command = [python, "-m", "puccinialin", "--location", OWN, "--info-json", written]
        subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)
        os.replace(written, info)
    env = json.loads(info.read_text())["env"]
    # PATH as it is now, not as it was when the toolchain came; RUSTUP_TOOLCHAIN may name one that is not there
    env["PATH"] = os.pathsep.join([str(Path(env["CARGO_HOME"]) / "bin"), os.environ.get("PATH", "")])
    return {"RUSTUP_TOOLCHAIN": "stable", **env}


def absent(targets: list[str], env: dict[str, str]) -> list[str]:
    """Those of the targets whose standard library this rustc does not have."""

    def folder(target: str) -> str:
        command = [shutil.which("rustc", path=env["PATH"]) or "rustc", "--print", "target-libdir", "--target", target]
        return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    return [target for target in targets if not os.path.isdir(folder(target))]


def toolchain(components: list[str], targets: list[str]) -> dict[str, str]:
    """Return the environment for the command, with cargo, rustc, the components and the targets in it."""
    env = dict(os.environ)
    found = version(env)
    own = False
    if found is None or found < NEEDED:
        what = "no cargo on PATH" if found is None else f"the cargo on PATH is {found[0]}.{found[1]}"
        say(f"{what}, Rust >= {NEEDED[0]}.{NEEDED[1]} is needed")
        env |= bring()
        own = True
        found = version(env)
        if found is None or found < NEEDED:
            raise RuntimeError(f"the toolchain in {OWN} does not answer: `make clean` and try again")
        say(f"using the cargo {found[0]}.{found[1]} in the folder .rust")
    if not any(shutil.which(cc, path=env["PATH"]) for cc in ("cc", "gcc", "clang", "cl")):
        raise RuntimeError("a C compiler is needed as well (Debian: apt install gcc libc6-dev)")
    missing = [name for name in components if not shutil.which(COMPONENTS[name], path=env["PATH"])]
    if own and components:
        subprocess.run(["rustup", "component", "add", *components], env=env, stdout=sys.stderr, check=True)
    elif missing:
        raise RuntimeError(f"cargo is there, {' and '.join(missing)} not: `rustup component add {' '.join(missing)}`")
    if wanted := absent(targets, env):
        rustup = shutil.which("rustup", path=env["PATH"])
        if rustup is None:
            raise RuntimeError(f"this Rust has no standard library for {' and '.join(wanted)}, and there is no rustup")
        subprocess.run([rustup, "target", "add", *wanted], env=env, cwd=ROOT, stdout=sys.stderr, check=True)
    return env


def main(arguments: list[str]) -> int:
    wanted: dict[str, list[str]] = {"--components": [], "--targets": []}
    while arguments and arguments[0] in wanted:
        wanted[arguments[0]] = arguments[1].split(",")
        arguments = arguments[2:]
    try:
        env = toolchain(wanted["--components"], wanted["--targets"])
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        say(f"no Rust toolchain: {error}")
        return 1
    command = shutil.which(arguments[0], path=env["PATH"]) or arguments[0]
    sys.stdout.flush()
    if os.name == "nt":
        return subprocess.run([command, *arguments[1:]], env=env, check=False).returncode
    os.execve(command, [command, *arguments[1:]], env)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
