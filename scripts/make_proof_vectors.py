"""Writes tests/vectors/v1/proofs and tests/snapshots/sizes.json:

    .venv/bin/python -m scripts.make_proof_vectors

Run it only to change the format or the layout: what was proved before is then no longer accepted.
"""

from __future__ import annotations

from tests.frozen import FOLDER, NAMES, SIZES, write

if __name__ == "__main__":
    write()
    print(f"wrote {', '.join(NAMES)} in {FOLDER}, and {SIZES}")
