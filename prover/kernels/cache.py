"""Where compiled kernels are kept: the folder's name is a hash of all that they depend on."""

import hashlib
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import llvmlite
import llvmlite.binding

CHOSEN = "EINPROOF_KERNEL_FOLDER"
PACKAGE = Path(__file__).parents[1]


def sources(package: Path) -> list[Path]:
    """The files of prover/ that compiled code is made from: the tiers that share this cache."""
    tiers = [package / "kernels" / tier for tier in ("cpu", "ifma", "cuda")]
    return [
        *(source for tier in tiers for source in sorted(tier.glob("*.py"))),
        *(package / "kernels" / name for name in ("compiler.py", "native.py")),
        package / "field.py",
    ]


def fingerprint() -> str:
    """A hash of the kernel sources, the compiler's versions and the processor's features."""
    spec = find_spec("numba")  # to import it, or to ask for its version, would take longer
    if spec is None or spec.origin is None:
        raise ImportError("expected the package numba, found none")
    numba = Path(spec.origin).with_name("_version.py")
    digest = hashlib.sha256()
    for part in (
        sys.version,
        numba.read_text(),
        llvmlite.__version__,
        os.environ.get("NUMBA_CPU_NAME", ""),
        os.environ.get("NUMBA_CPU_FEATURES", ""),
        llvmlite.binding.get_host_cpu_name(),
        llvmlite.binding.get_host_cpu_features().flatten(),
    ):
        digest.update(part.encode() + b"\0")
    for source in sources(PACKAGE):
        digest.update(source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _usable(folder: Path) -> bool:
    """Whether folder can be made and written, and by nobody else: loading a cache runs its code."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return False
    ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return ours and not status.st_mode & 0o022 and os.access(folder, os.W_OK | os.X_OK)


def folder() -> Path:
    """In NUMBA_CACHE_DIR, the user's cache or the temporary folder: the first that we can use. The
    processes that compile for one that has chosen are told its choice."""
    if chosen := os.environ.get(CHOSEN):
        return Path(chosen)
    name = f"kernels-{fingerprint()}"
    user = os.getuid() if hasattr(os, "getuid") else 0
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    asked = os.environ.get("NUMBA_CACHE_DIR")
    choices = [Path(asked, name)] if asked else []
    choices += [
        Path(cache, "einproof", name),
        Path(tempfile.gettempdir(), f"einproof-{user}-{name}"),
    ]
    for choice in choices:
        if _usable(choice):
            return choice
    return Path(tempfile.mkdtemp(prefix="einproof-"))
