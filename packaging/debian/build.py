"""Build the Debian package of Mailhold, `dist/mailhold_VERSION_ARCHITECTURE.deb`, with the Python that runs this.

The programs and their libraries, in the versions of constraints.txt, are in their own virtual environment in
/usr/lib/mailhold. It is an environment and not a folder for PYTHONPATH because Mailhold starts children with
`sys.executable -m`: in an environment these find the same libraries, and no others, whatever the caller's variables
say. Its Python is a link to Debian's; because libraries are compiled for one minor release of Python, the package
depends on that one (python3.13). Python compiles the modules when the package is installed, and prerm removes the
result.

There is no conffile: mailhold.toml is written by `mailhold setup` or by hand, and Debian's policy forbids a conffile
that programs change.

Needs Debian's python3-venv and dpkg-deb, and pip's registry; not root.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from email.parser import HeaderParser
from email.utils import parsedate_to_datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
HOME = Path("usr/lib/mailhold")
EXTRAS = "demo,gateway,postgresql"
_SOURCES = ("store", "tui", "packaging/man", "packaging/completion", "pyproject.toml", "README.md", "LICENSE")
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
#: Shared system libraries that a wheel may need, and the packages that contain them.
_SYSTEM = {b"libgcc_s.so.1\0": "libgcc-s1", b"libstdc++.so.6\0": "libstdc++6", b"libz.so.1\0": "zlib1g"}


def run(*words: str | Path, **variables: str) -> str:
    """Run a program and return its output. Raises SystemExit if it fails; the program has printed the reason."""
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}, check=False)
    if done.returncode:
        raise SystemExit(f"{words[0]} failed ({done.returncode}): no package was built.")
    return done.stdout


def environment(target: Path, work: Path) -> None:
    """Make the virtual environment in `target`, with only Mailhold and its libraries."""
    source = work / "source"  # setuptools leaves folders behind in its source
    for name in _SOURCES:
        path, copy = ROOT / name, source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(path, copy)
    run(sys.executable, "-m", "venv", work / "tools")
    run(sys.executable, "-m", "venv", "--without-pip", "--symlinks", target)
    pip = (work / "tools/bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", work, source)
    [wheel] = work.glob("mailhold-*.whl")
    options = ("--no-compile", "--only-binary", ":all:", "--constraint", ROOT / "constraints.txt")
    run(*pip, "--python", target / "bin/python", "install", *options, f"{wheel}[{EXTRAS}]")
    for name in ("include", "share", "lib64", ".gitignore", "bin"):
        path = target / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    programs = target / "bin"
    programs.mkdir()
    (programs / "python").symlink_to(f"../../../bin/{_PYTHON}")
    shutil.copyfile(HERE / "mailhold.launcher", programs / "mailhold")
    settings = (target / "pyvenv.cfg").read_text().splitlines()
    kept = [line for line in settings if line.startswith(("include-system", "version"))]
    (target / "pyvenv.cfg").write_text("\n".join(["home = /usr/bin", *kept]) + "\n")
    for path in [*target.rglob("*.dist-info/direct_url.json"), *target.rglob(".gitignore")]:
        path.unlink()  # the first line names the folder of this build


def libraries(packages: Path) -> str:
    """Return the dependencies of the compiled modules, by the symbol versions in them."""
    newest, needed = 0, set()
    for path in packages.rglob("*.so*"):
        content = path.read_bytes()
        newest = max([newest, *(int(minor) for minor in re.findall(rb"\0GLIBC_2\.(\d+)(?=\0|\.)", content))])
        needed |= {package for name, package in _SYSTEM.items() if b"\0" + name in content}
    return ", ".join([f"libc6 (>= 2.{newest})", *sorted(needed)])


def copyright_text(packages: Path) -> str:
    """Return the copyright file: Mailhold's licence, and the name, version and licence of each library."""
    lines = []
    for path in sorted(packages.glob("*.dist-info/METADATA"), key=lambda path: path.parent.name.lower()):
        said = HeaderParser().parsestr(path.read_text("utf-8"))
        classifiers = [each.rpartition(" :: ")[2] for each in said.get_all("Classifier", []) if "License ::" in each]
        licence = said["License-Expression"] or ", ".join(classifiers) or (said["License"] or "").partition("\n")[0]
        if said["Name"] != "mailhold":
            lines.append(f"  {said['Name']} {said['Version']}: {licence or 'see its files'}")
    text = (HERE / "copyright").read_text("utf-8")
    licence = textwrap.indent((ROOT / "LICENSE").read_text("utf-8"), "  ", lambda _: True).replace("  \n", "\n")
    where = "/" + str(packages).partition("/tree/")[2]
    return text.replace("@LICENSE@", licence).replace("@LIBRARIES@", "\n".join(lines)).replace("@PACKAGES@", where)


def put(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file of the package, compressed if its name says so."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, 9, mtime=0) if path.suffix == ".gz" else data)
    path.chmod(mode)


def around(tree: Path) -> None:
    """Put the files outside of the environment into `tree`."""
    share = tree / "usr/share"
    doc = share / "doc/mailhold"
    for number, page in ((1, "mailhold.1"), (5, "mailhold.toml.5")):
        put(share / f"man/man{number}/{page}.gz", (ROOT / "packaging/man" / page).read_bytes())
    completion = ROOT / "packaging/completion"
    put(share / "bash-completion/completions/mailhold", (completion / "mailhold").read_bytes())
    put(share / "zsh/vendor-completions/_mailhold", (completion / "_mailhold").read_bytes())
    put(share / "fish/vendor_completions.d/mailhold.fish", (completion / "mailhold.fish").read_bytes())
    put(doc / "changelog.Debian.gz", (HERE / "changelog").read_bytes())
    put(doc / "changelog.gz", (ROOT / "CHANGELOG.md").read_bytes())
    put(doc / "README.md.gz", (ROOT / "README.md").read_bytes())
    for page in (ROOT / "docs").glob("*.md"):
        put(doc / "docs" / page.name, page.read_bytes())
    put(doc / "copyright", copyright_text(tree / HOME / f"lib/{_PYTHON}/site-packages"))
    put(doc / "examples/mailhold.toml", (ROOT / "store/gateway/mailhold.toml.example").read_bytes())
    unit = (
        (ROOT / "store/gateway/mailhold-gateway.service").read_text("utf-8").replace("@MAILHOLD@", "/usr/bin/mailhold")
    )
    # A unit with a group that does not exist fails to start, and Postfix may not be installed. If it is, `mailhold
    # setup` adds the user to its group, and systemd starts the gateway with all groups of its user.
    unit = unit.replace("SupplementaryGroups=postfix\n", "")
    put(tree / "usr/lib/systemd/system/mailhold-gateway.service", unit)
    put(tree / "usr/lib/sysusers.d/mailhold.conf", (HERE / "mailhold.sysusers").read_bytes())
    put(tree / "usr/lib/tmpfiles.d/mailhold.conf", (HERE / "mailhold.tmpfiles").read_bytes())
    put(share / "lintian/overrides/mailhold", (HERE / "mailhold.lintian-overrides").read_bytes())
    (tree / "usr/bin").mkdir()
    (tree / "usr/bin/mailhold").symlink_to("../lib/mailhold/bin/mailhold")


def control(tree: Path, version: str, architecture: str) -> None:
    """Write DEBIAN/: the control file, the scripts, and the files' checksums."""
    files = [path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink()]
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files]
    values = {
        "VERSION": version,
        "ARCHITECTURE": architecture,
        "SIZE": str(sum(-(-path.stat().st_size // 1024) for path in files)),
        "PYTHON": _PYTHON,
        "LIBRARIES": libraries(tree / HOME),
    }
    text = (HERE / "control").read_text("utf-8")
    put(tree / "DEBIAN/control", re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], text))
    put(tree / "DEBIAN/md5sums", "".join(sums))
    for script in ("postinst", "prerm", "postrm"):
        put(tree / "DEBIAN" / script, (HERE / script).read_bytes(), 0o755)


def settle(tree: Path, moment: int) -> None:
    """Set the mode that packages use, and a single time, on every file and folder."""
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            programs = path.parent in (tree / HOME / "bin", tree / "DEBIAN") and path.name not in ("control", "md5sums")
            path.chmod(0o755 if path.is_dir() or programs else 0o644)
        os.utime(path, (moment, moment), follow_symlinks=False)


def main() -> int:
    """Build the package and print its path."""
    parser = argparse.ArgumentParser(description="Build Mailhold's Debian package.")
    parser.add_argument("--to", type=Path, default=ROOT / "dist", help="the folder to write it to (default: dist)")
    parser.add_argument("--lintian", action="store_true", help="run lintian on it, and fail on its errors")
    args = parser.parse_args()
    target = args.to
    if shutil.which("dpkg-deb") is None:
        raise SystemExit("dpkg-deb is missing. Build on Debian or a derived system.")
    if not sys.executable.startswith("/usr/bin/"):
        raise SystemExit(f"{sys.executable} is not the system's Python: run /usr/bin/python3 {Path(__file__).name}.")
    release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    head, _, signed = (HERE / "changelog").read_text("utf-8").partition("\n\n -- ")
    version = head[head.index("(") + 1 : head.index(")")]
    if version.rpartition("-")[0] != release:
        raise SystemExit(f"packaging/debian/changelog begins with {version}, and pyproject.toml says {release}.")
    moment = parsedate_to_datetime(signed.partition("\n")[0].partition("  ")[2]).timestamp()
    architecture = run("dpkg", "--print-architecture").strip()
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="mailhold-deb-") as name:
        tree = Path(name) / "tree"
        (tree / HOME).parent.mkdir(parents=True)
        environment(tree / HOME, Path(name))
        around(tree)
        control(tree, version, architecture)
        settle(tree, int(moment))
        target.mkdir(parents=True, exist_ok=True)
        package = target / f"mailhold_{version}_{architecture}.deb"
        # Higher levels take twice as long for a tenth less; lintian does not support zstd.
        options = ("--root-owner-group", "-Zxz", "-z0")
        run("dpkg-deb", *options, "--build", tree, package, SOURCE_DATE_EPOCH=str(int(moment)))
    print(f"{package}: {package.stat().st_size / 2**20:.0f} MiB")
    if args.lintian:
        return subprocess.run(["lintian", "--fail-on", "error", "--tag-display-limit", "0", package]).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
