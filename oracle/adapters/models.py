"""The models that this service holds: folders under one folder, found by the id in model.json, or
in composition.json."""

import asyncio
import json
from pathlib import Path

from oracle.domain.errors import ModelMissing
from prover.composition import FILE as COMPOSITION
from prover.folder import MODEL_JSON, WEIGHTS


class FolderModels:
    """Looks anew whenever an id is not known yet, so that a model may be added to a running
    service. The folder's hashes are checked by whoever loads it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[bytes, Path] = {}

    async def find(self, model_id: bytes) -> Path:
        folder = self._known.get(model_id)
        held = folder and ((folder / MODEL_JSON).is_file() or (folder / COMPOSITION).is_file())
        if not held:
            self._known = await asyncio.to_thread(scan, self._root)
            folder = self._known.get(model_id)
        if folder is None:
            raise ModelMissing(
                f"no folder under {self._root} holds model 0x{model_id.hex()}: put it there, and "
                "start the service again"
            )
        return folder


def scan(root: Path) -> dict[bytes, Path]:
    """Models' and compositions' folders by id: `root` itself if it is one, and those directly under
    it; of two with one id, the one that has the weights."""
    found: dict[bytes, Path] = {}
    paths = [root / MODEL_JSON, *sorted(root.glob(f"*/{MODEL_JSON}"))]
    paths += [root / COMPOSITION, *sorted(root.glob(f"*/{COMPOSITION}"))]
    for path in sorted(paths, key=lambda path: not (path.parent / WEIGHTS).exists()):
        try:
            found.setdefault(bytes.fromhex(json.loads(path.read_bytes())["id"][2:]), path.parent)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # damaged or foreign; loading it would say how
    return found
