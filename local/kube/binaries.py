"""Finds the Kubernetes programs or builds them once per machine: the cache, ``KUBEBUILDER_ASSETS``, PATH, ``go build``.

A program that is already installed is taken when its version fits the pinned one. There is no download of official
release binaries: the project carries no SHA-256 of them that somebody has verified, and an unverified download is worse
than a build from modules whose hashes are in ``gomod/*/go.sum``. Safe to repeat and to run in parallel: one file lock a
program, and a finished build is moved into place at once.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.kube import gotool
from local.kube.cache import Progress, cache_dir, locked
from local.kube.errors import KubeError

KUBERNETES_VERSION = "v1.34.4"
GOMOD = Path(__file__).resolve().parent / "gomod"


class BinariesError(KubeError):
    """A program is missing and could not be built; the message says which and what to do."""


@dataclass(frozen=True)
class Program:
    """One program: where its source is pinned, how long a build takes, how an installed one says its version."""

    name: str
    module: str
    """Folder under ``gomod/``."""
    package: str
    version: str
    usual_seconds: int
    """On two cores with nothing compiled before."""
    version_argv: tuple[str, ...] = ("--version",)
    same_minor: bool = True
    """An installed one must agree in major and minor version, else in the major one only."""


def _kubernetes(name: str, usual_seconds: int, **more: object) -> Program:
    package = f"k8s.io/kubernetes/cmd/{name}"
    return Program(name, "kubernetes", package, KUBERNETES_VERSION, usual_seconds, **more)  # type: ignore[arg-type]


PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", "v3.7.3", 30, same_minor=False),
    _kubernetes("kube-apiserver", 230),
    _kubernetes("kube-controller-manager", 61),
    Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", "v0.8.0", 65),
    _kubernetes("kubectl", 30, version_argv=("version", "--client"), same_minor=False),
    _kubernetes("kubelet", 19),
    _kubernetes("kube-proxy", 16),
    Program("coredns", "coredns", "github.com/coredns/coredns", "v1.14.7", 127, ("-version",), same_minor=False),
    _kubernetes("kube-scheduler", 5),
    Program("helm", "helm", "helm.sh/helm/v3/cmd/helm", "v3.19.4", 120, ("version",), same_minor=False),
)
BY_NAME = {program.name: program for program in PROGRAMS}

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kwok", "kubectl")
NODE = ("kubelet", "kube-proxy", "coredns")


@dataclass(frozen=True)
class Binaries:
    """Absolute paths of the programs that were asked for."""

    paths: Mapping[str, Path]

    def __getitem__(self, name: str) -> Path:
        try:
            return self.paths[name]
        except KeyError:
            raise BinariesError(f"{name} was not asked for; there are {', '.join(sorted(self.paths))}") from None


def ensure(progress: Progress, names: Iterable[str] = (*CONTROL_PLANE, *NODE)) -> Binaries:
    """Paths of all ``names``, built where they are missing. ``progress`` gets a sentence per build.

    Raises BinariesError for an unknown name, without Go, or when a build fails.
    """
    wanted = list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in BY_NAME]
    if unknown:
        raise BinariesError(f"names: unknown program {unknown[0]!r}; known are {', '.join(BY_NAME)}")
    return Binaries({name: _find(BY_NAME[name]) or _build(BY_NAME[name], progress) for name in wanted})


def _cached(program: Program) -> Path:
    return cache_dir() / "bin" / f"{program.name}-{program.version}"


def _find(program: Program) -> Path | None:
    cached = _cached(program)
    if cached.exists():
        return cached
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for folder in (assets, os.environ.get("PATH")):
        found = shutil.which(program.name, path=folder) if folder else None
        if found and fits(program, _version_text(found, program.version_argv)):
            return Path(found).resolve()
    return None


def _version_text(path: str, argv: tuple[str, ...]) -> str:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run((path, *argv), capture_output=True, text=True, timeout=5)
        return done.stdout + done.stderr
    return ""


def fits(program: Program, text: str) -> bool:
    """Whether an installed program that says ``text`` about itself can stand for the pinned one."""
    said = re.search(r"(\d+)\.(\d+)\.\d+", text)
    pinned = re.match(r"v(\d+)\.(\d+)\.", program.version)
    if said is None or pinned is None:
        return False
    count = 2 if program.same_minor else 1
    return said.groups()[:count] == pinned.groups()[:count]


def link_flags(program: Program) -> str:
    """``-ldflags``: no debug data, and the version, without which clients cannot parse what the server calls itself."""
    flags = ["-s", "-w"]
    if program.module == "kubernetes":
        major, minor = program.version.removeprefix("v").split(".")[:2]
        values = {
            "gitVersion": program.version,
            "gitMajor": major,
            "gitMinor": minor,
            "gitTreeState": "archive",
            "gitCommit": "unknown",
            "buildDate": "1970-01-01T00:00:00Z",
        }
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            flags += [f"-X {package}.{key}={value}" for key, value in values.items()]
    if program.module == "kwok":
        flags.append(f"-X sigs.k8s.io/kwok/pkg/consts.Version={program.version}")
    return " ".join(flags)


def _build(program: Program, progress: Progress) -> Path:
    target = _cached(program)
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_suffix(target.suffix + ".lock"), lambda: progress(f"waiting for a build of {target.name}")):
        if target.exists():
            return target
        go = gotool.find(progress)
        usual = _spoken(program.usual_seconds)
        progress(f"building {program.name} {program.version}, once per machine (usually {usual} on two cores)")
        unfinished = target.with_name(f".{target.name}.{os.getpid()}")
        build = ("nice", "-n", "10", str(go), "build", "-trimpath")
        argv = (*build, "-ldflags", link_flags(program), "-o", str(unfinished), program.package)
        try:
            _compile(argv, program, progress)
            os.replace(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
    return target


def _compile(argv: tuple[str, ...], program: Program, progress: Progress) -> None:
    """Run ``go build``, saying every 30 seconds that it still runs. Raises BinariesError with Go's last words."""
    env = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly", "GOWORK": "off"}
    log = cache_dir() / "bin" / f"{program.name}.build.log"
    started = time.monotonic()
    with log.open("wb") as output:
        child = subprocess.Popen(argv, cwd=GOMOD / program.module, env=env, stdout=output, stderr=output)
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = child.wait(30)
                    break
                progress(f"still building {program.name}: {_spoken(int(time.monotonic() - started))} so far")
        except BaseException:
            child.kill()
            child.wait()
            raise
    if code:
        raise BinariesError(f"building {program.name} failed ({log}):\n{log.read_text()[-2000:]}")
    progress(f"built {program.name} in {_spoken(int(time.monotonic() - started))}")


def _spoken(seconds: int) -> str:
    return f"{seconds} s" if seconds < 90 else f"{seconds / 60:.0f} min"
