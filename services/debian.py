"""Programs of Debian's unstable suite, newer than the machine's own: unpacked in a folder, run with its libraries."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.processes import MissingServiceError

SUITE = "sid"
HOME = Path(__file__).parents[1] / ".work" / "services"
DOWNLOAD_LIMIT_S = 600.0
_SETTINGS = """
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "0";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
Debug::NoLocking "true";
"""
"""Of an apt that touches nothing of the machine's, and gives up at once where there is no network."""
_SCRIPT = """#!/bin/sh
exec {loader} --argv0 "$0" --library-path {libraries} {program} "$@"
"""
"""What runs a program with the loader and the libraries that were unpacked beside it."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Packages that are unpacked in a folder of that name; its programs are in `folders`, which may be patterns."""

    name: str
    packages: tuple[str, ...]
    folders: tuple[str, ...]
    libraries: tuple[str, ...] = ()
    """Folders of libraries besides the usual one."""

    @property
    def root(self) -> Path:
        """The folder in which the packages are unpacked."""
        return HOME / self.name / "root"

    @property
    def _stamp(self) -> Path:
        return HOME / self.name / ".made-from"

    def path(self, name: str) -> Path:
        """One of the programs; MissingServiceError where they couldn't be had."""
        found = [path for folder in self.folders for path in self.root.glob(f"{folder}/{name}")]
        if not found:
            raise MissingServiceError(f"{self.name} of Debian's {SUITE} isn't here: run `make services`")
        return found[0]

    def fetch(self, *, newest: bool) -> None:
        """Download and unpack the packages, if they aren't here or, with `newest`, if there are newer ones."""
        if self._stamp.exists() and not newest:
            return
        HOME.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=HOME, prefix=f"{self.name}-") as temporary:
            folder = Path(temporary)
            apt = _apt(folder)
            _run([*apt, "update"])
            listed = _run([*apt, "install", "--print-uris", "-y", "-qq", *self.packages])
            names = "\n".join(sorted(line.split()[1] for line in listed.splitlines()))
            if self._stamp.exists() and self._stamp.read_text(encoding="utf-8") == names:
                return
            _run([*apt, "install", "--download-only", "-y", "-qq", *self.packages])
            self._unpack(folder, sorted((folder / "cache" / "archives").glob("*.deb")))
            self._stamp.write_text(names, encoding="utf-8")

    def _unpack(self, folder: Path, archives: Sequence[Path]) -> None:
        self._stamp.unlink(missing_ok=True)
        shutil.rmtree(self.root, ignore_errors=True)
        made = folder / "root"
        made.mkdir(mode=0o755)
        for archive in archives:
            _run(["dpkg-deb", "-x", str(archive), str(made)])
        libraries = next(made.glob("usr/lib/*/ld-linux*.so.*")).parent.relative_to(made)
        loader = next((made / libraries).glob("ld-linux*.so.*")).relative_to(made)
        searched = ":".join(str(self.root / below) for below in (libraries, *self.libraries))
        programs = [path for below in self.folders for path in made.glob(f"{below}/*") if _is_program(path)]
        for program in programs:
            real = program.rename(program.with_name(f"{program.name}.real")).relative_to(made)
            script = _SCRIPT.format(loader=self.root / loader, libraries=searched, program=self.root / real)
            program.write_text(script, encoding="utf-8")
            program.chmod(0o755)
        self.root.parent.mkdir(exist_ok=True)
        made.rename(self.root)


def had(programs: Programs, *, newest: bool) -> bool:
    """Whether the programs are here now; why not is said."""
    try:
        programs.fetch(newest=newest)
    except MissingServiceError as missing:
        print(missing)
    return programs.root.exists()


def _apt(folder: Path) -> list[str]:
    """An apt-get that has all its files in the folder."""
    for below in ("lists/partial", "cache/archives/partial"):
        (folder / below).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb {_address()} {SUITE} main\n", encoding="utf-8")
    settings = folder / "apt.conf"
    settings.write_text(_SETTINGS.format(folder=folder), encoding="utf-8")
    return ["apt-get", "-c", str(settings)]


def _address() -> str:
    """Where this machine has its own Debian packages from."""
    wanted = ["--no-release-info", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"]
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "stable")
    for line in _run(["apt-get", "indextargets", *wanted]).splitlines():
        address, _, suite = line.partition(" ")
        if suite in {release, "stable", "oldstable"}:
            return address
    raise MissingServiceError(f"Debian's {SUITE} can't be had: apt has no source of {release} here")


def _is_program(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _run(words: Sequence[str]) -> str:
    """What the command says; MissingServiceError where it fails or isn't here."""
    try:
        done = subprocess.run(words, capture_output=True, check=True, timeout=DOWNLOAD_LIMIT_S, text=True)
    except (OSError, subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise MissingServiceError(f"Debian's {SUITE} can't be had: {words[0]}: {said[-1] if said else error}") from None
    return done.stdout
