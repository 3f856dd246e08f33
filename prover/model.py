"""A model as its owner keeps it: a folder with a public half and two secrets.

    model.json           public: format, ids, hashes, shapes, ranges, scales, quantiser
    program.bin          public: verifier section || source section (docs/protocol/format.md)
    commitments.bin      public: the fixed tiles' points, 64 bytes each
    tokenizer.json       public: of a model of text; its hash is in the quantiser, so in the id
    weights.safetensors  secret: the integer weights
    blinding.key         secret: 32 random bytes, mode 0600
    ranges.json          secret: what activations reached on the calibration data, where scales come
                         from that; with the float weights it gives the program again

Every hash is checked on every load. The key makes the blinders of the weight tiles; without it the
registered commitments cannot be opened, and the model can never be proved again.
"""

from __future__ import annotations

import json
import secrets
import stat
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from prover.curve import POINT_BYTES, Affine, PointG2, decode_point, encode_point
from prover.errors import WrongLength
from prover.folder import (
    COMMITMENTS,
    KEY,
    MODEL_JSON,
    PROGRAM,
    RANGES,
    TOKENIZER,
    WEIGHTS,
    KeyExposed,
    ModelDamaged,
    ModelError,
    ModelNotFound,
    SecretsMissing,
    damage,
    pack_ranges,
    pack_weights,
    read,
    read_hashed,
    unhex,
    unpack_ranges,
    unpack_weights,
    write_folder,
)
from prover.identity import blinder, key_hash, model_id, program_bytes, weights_digest, weights_mac
from prover.keccak import keccak
from prover.kernels.interface import Kernels
from prover.program.encode import decode
from prover.program.evaluate import ValueRefused
from prover.program.format import serialize
from prover.program.interpret import check_values, check_weight
from prover.program.ir import Program, Role
from prover.program.layout import Layout, layout
from prover.program.validate import validate
from prover.proving.tiles import Tile, table_tiles, weight_tiles
from prover.quantizer import IntArray, Quantizer
from prover.srs import Srs, development_id
from prover.verify import VerifyingKey

FORMAT, VERSION = "einproof/model", 1
KEY_BYTES = 32


@dataclass(frozen=True, eq=False)
class Secrets:
    """What the owner alone holds: integer weights by name, the blinding key, and the ranges that
    scales come from, if they were recorded: these tell of the weights and of the data."""

    weights: Mapping[str, IntArray]
    key: bytes
    ranges: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Model:
    """A checked model; `secrets` is None where only the public half is held."""

    layout: Layout
    quantizer: Quantizer
    srs_id: bytes
    point_bytes: bytes
    secrets: Secrets | None
    tokenizer: bytes = b""

    @property
    def program(self) -> Program:
        return self.layout.program

    @cached_property
    def program_bytes(self) -> bytes:
        """Verifier section and source, as registered."""
        return program_bytes(self.layout)

    @property
    def aux_hash(self) -> bytes:
        """keccak256 of the canonical quantiser."""
        return self.quantizer.hash

    @cached_property
    def id(self) -> bytes:
        """The 32 bytes that name this model on every chain."""
        return model_id(
            self.program_bytes, self.point_bytes, self.srs_id, self.layout.k, self.aux_hash
        )

    @cached_property
    def points(self) -> tuple[Affine, ...]:
        """The fixed tiles' commitments."""
        return _points(self.point_bytes)

    @property
    def owned(self) -> Secrets:
        """The secrets; raises SecretsMissing."""
        if self.secrets is None:
            raise SecretsMissing(
                f"expected {WEIGHTS} and {KEY}, got a public export: only its owner can run it"
            )
        return self.secrets

    def fixed_tiles(self) -> list[Tile]:
        """Weight tiles with their blinders, then table tiles with none; raises SecretsMissing."""
        return _fixed_tiles(self.layout, self.owned, self.srs_id)

    def verifying_key(self, s_g2: PointG2) -> VerifyingKey:
        """What `verify` needs; the caller must check that s_g2 is the one of srs_id."""
        return VerifyingKey(self.id, self.layout.verifier, self.points, self.srs_id, s_g2)

    # statement bytes

    def encode(
        self,
        role: Role,
        values: Mapping[str, IntArray],
        points: Mapping[str, Sequence[Affine]] | None = None,
        program: Program | None = None,
    ) -> bytes:
        """A side of the statement: its public tensors' cells (int16, big-endian, declared order),
        then its committed tensors' points (prover.private).

        role: INPUT or OUTPUT. program: whose bounds the cells keep, by default the declared ones.
        Raises ValueRefused, or ModelError where points are missing.
        """
        tensors = [(program or self.program).tensors[i] for i in self.program.with_role(role)]
        parts = [check_values(t, values.get(t.name)).astype(">i2").tobytes() for t in tensors]
        given = points or {}
        for i in self.committed(role):
            t, own = self.program.tensors[i], given.get(self.program.tensors[i].name, ())
            if len(own) != (count := self._tile_count(i)):
                raise ModelError(
                    f"{t.name} is committed: expected the {count} points of its opening,"
                    f" got {len(own)}"
                )
            parts += [encode_point(point) for point in own]
        return b"".join(parts)

    def decode(
        self, role: Role, data: bytes, program: Program | None = None
    ) -> dict[str, IntArray]:
        """The public tensors of a side, within the bounds of `program` or those declared; raises
        WrongLength or ValueRefused."""
        self._check_size(role, data)
        tensors = [(program or self.program).tensors[i] for i in self.program.with_role(role)]
        size = 2 * sum(t.size for t in tensors)
        cells, at, found = np.frombuffer(data[:size], dtype=">i2").astype(np.int64), 0, {}
        for t in tensors:
            found[t.name] = check_values(t, cells[at : at + t.size].reshape(t.shape))
            at += t.size
        return found

    def decode_points(self, role: Role, data: bytes) -> dict[str, tuple[Affine, ...]]:
        """The points of each committed tensor of a side; raises WrongLength or a point's error."""
        self._check_size(role, data)
        tiles, found = self.committed(role), {}
        at = len(data) - POINT_BYTES * sum(map(self._tile_count, tiles))
        for i in tiles:
            end = at + POINT_BYTES * self._tile_count(i)
            found[self.program.tensors[i].name] = _points(data[at:end])
            at = end
        return found

    def committed(self, role: Role) -> list[int]:
        """The committed tensors of a side, by number; role: INPUT or OUTPUT."""
        sides = {Role.INPUT: Role.INPUT_COMMITTED, Role.OUTPUT: Role.OUTPUT_COMMITTED}
        return self.program.with_role(sides[role])

    @property
    def input_is_committed(self) -> bool:
        """Whether the quantiser's input is named by the points of its opening."""
        return self.program.named(self.quantizer.input.tensor) in self.committed(Role.INPUT)

    def encode_input(
        self, floats: Any, points: Mapping[str, Sequence[Affine]] | None = None
    ) -> bytes:
        """The statement's input for a float input, through the quantiser; raises InputRefused, or
        ModelError without the points of a committed one."""
        name = self.quantizer.input.tensor
        return self.encode(Role.INPUT, {name: self.quantize_input(floats)}, points)

    def quantize_input(self, floats: Any) -> IntArray:
        """The integers of a float input, in its tensor's shape; raises InputRefused."""
        tensor = self.program.tensors[self.program.named(self.quantizer.input.tensor)]
        return self.quantizer.quantize(floats).reshape(tensor.shape)

    def decode_output(self, data: bytes) -> IntArray:
        """The integers of the statement's output, in the quantiser's shape; raises ModelError
        where it is committed."""
        spec, found = self.quantizer.output, self.decode(Role.OUTPUT, data)
        if spec.tensor not in found:
            raise ModelError(f"{spec.tensor} is committed: only its opening shows it")
        return found[spec.tensor].reshape(spec.shape)

    def _check_size(self, role: Role, data: bytes) -> None:
        v = self.layout.verifier
        size = v.input_bytes if role == Role.INPUT else v.output_bytes
        if len(data) != size:
            raise WrongLength(size, len(data))

    def _tile_count(self, tensor: int) -> int:
        return len({block.tile for block in self.layout.blocks[tensor]})

    # the folder

    @classmethod
    def create(
        cls,
        program: Program,
        weights: Mapping[str, IntArray],
        quantizer: Quantizer,
        kernels: Kernels,
        srs: Srs,
        *,
        k: int | None = None,
        key: bytes | None = None,
        tokenizer: bytes = b"",
        ranges: Mapping[str, Sequence[float]] | None = None,
    ) -> Model:
        """Commits to the weights under a fresh blinding key (or `key`); `save` keeps the result.
        `tokenizer`: the file of a model of text, which the quantiser then names. `ranges`: kept
        beside the weights, as the compiler gave them.

        Raises InvalidProgram, LayoutError, ValueRefused, or UnsupportedSize for a small SRS.
        """
        validate(program)
        if tokenizer:
            quantizer = replace(quantizer, tokenizer="0x" + keccak(tokenizer).hex())
        check_quantizer(program, quantizer)
        placed = layout(program, k)
        blinding = key or secrets.token_bytes(KEY_BYTES)
        owned = Secrets(_checked_weights(program, weights), blinding, ranges or {})
        tiles = _fixed_tiles(placed, owned, srs.id)
        points = b"".join(encode_point(t.commit(kernels, srs, placed.k)) for t in tiles)
        return cls(placed, quantizer, srs.id, points, owned, tokenizer)

    def check_commitments(self, kernels: Kernels, srs: Srs) -> None:
        """Recomputes every fixed tile's commitment; raises ModelDamaged."""
        for i, (tile, point) in enumerate(zip(self.fixed_tiles(), self.points, strict=True)):
            if tile.commit(kernels, srs, self.layout.k) != point:
                raise ModelDamaged(f"tile {i}: expected the commitment of its cells, got another")

    def save(self, folder: Path, *, force: bool = False) -> None:
        """Writes the folder, whole or not at all, mode 0700; raises ModelExists unless `force`."""
        files = self._public_files()
        if self.secrets is not None:
            files[WEIGHTS] = pack_weights(self.secrets.weights)
            files[KEY] = self.secrets.key
            if self.secrets.ranges:
                files[RANGES] = pack_ranges(self.secrets.ranges)
        write_folder(folder, files, force=force)

    def export_public(self, folder: Path, *, force: bool = False) -> None:
        """The same without the secrets: for auditors, and for whoever verifies."""
        public = replace(self, secrets=None)
        write_folder(folder, public._public_files(), force=force, mode=0o755)

    @classmethod
    def load(cls, folder: Path) -> Model:
        """Reads a folder and checks every hash; raises ModelNotFound or ModelDamaged.

        Warns with KeyExposed if others may read the blinding key.
        """
        if not (folder / MODEL_JSON).is_file():
            raise ModelNotFound(f"expected a model folder at {folder}, got no {MODEL_JSON} there")
        with damage(MODEL_JSON, KeyError, TypeError):
            recorded = json.loads(read(folder, MODEL_JSON))
            if not isinstance(recorded, dict):
                raise ModelDamaged(f"{MODEL_JSON}: expected an object")
            if (recorded.get("format"), recorded.get("version")) != (FORMAT, VERSION):
                raise ModelDamaged(
                    f"{MODEL_JSON}: expected {FORMAT} of version {VERSION}, got"
                    f" {recorded.get('format')!r} of version {recorded.get('version')!r}"
                )
            quantizer = Quantizer.from_dict(recorded["quantizer"])
            srs_id = unhex(recorded["srs"]["id"])
            program_hash = unhex(recorded["program"]["keccak256"])
            points_hash = unhex(recorded["commitments"]["keccak256"])
        points = read_hashed(folder, COMMITMENTS, points_hash)
        with damage(PROGRAM):
            placed = parse_program(read_hashed(folder, PROGRAM, program_hash))
        if len(points) != POINT_BYTES * placed.verifier.fixed_tiles:
            expected = POINT_BYTES * placed.verifier.fixed_tiles
            raise ModelDamaged(f"{COMMITMENTS}: expected {expected} bytes, got {len(points)}")
        owned = _load_secrets(folder, placed.program, recorded)
        tokenizer = b""
        if quantizer.tokenizer:
            tokenizer = read_hashed(folder, TOKENIZER, unhex(quantizer.tokenizer))
        model = cls(placed, quantizer, srs_id, points, owned, tokenizer)
        with damage(COMMITMENTS):
            _ = model.points
        with damage(MODEL_JSON, KeyError, TypeError):
            expected_record = model.record()
            for entry in sorted(set(expected_record) | set(recorded)):
                if expected_record.get(entry) != recorded.get(entry):
                    raise ModelDamaged(
                        f"{MODEL_JSON}: its {entry!r} is not that of the other files"
                    )
        return model

    def record(self) -> dict[str, Any]:
        """The contents of model.json.

        Weights and ranges are recorded by a MAC under the key, not by a hash that a guess could be
        compared with.
        """
        secret_hashes = None
        if self.secrets is not None:
            digest = weights_digest(self.program, self.secrets.weights)
            secret_hashes = {
                "weights_hmac_sha256": weights_mac(self.secrets.key, digest),
                "key_sha256": key_hash(self.secrets.key),
            }
            if self.secrets.ranges:
                ranges = pack_ranges(self.secrets.ranges)
                secret_hashes["ranges_hmac_sha256"] = _ranges_mac(self.secrets.key, ranges)
        check_quantizer(self.program, self.quantizer)
        program = self.program
        return {
            "format": FORMAT,
            "version": VERSION,
            "id": "0x" + self.id.hex(),
            "k": self.layout.k,
            "srs": {"id": "0x" + self.srs_id.hex(), "forgeable": self.srs_id == development_id()},
            "program": {
                "keccak256": "0x" + keccak(self.program_bytes).hex(),
                "bytes": len(self.program_bytes),
                "limb": program.limb,
            },
            "commitments": {
                "keccak256": "0x" + keccak(self.point_bytes).hex(),
                "weight_tiles": self.layout.weight_tiles,
                "table_tiles": self.layout.verifier.fixed_tiles - self.layout.weight_tiles,
            },
            "tensors": [
                {
                    "name": t.name,
                    "role": t.role.name.lower(),
                    "shape": list(t.shape),
                    "lo": t.lo,
                    "hi": t.hi,
                }
                for t in program.tensors
            ],
            "quantizer": self.quantizer.to_dict(),
            "auxiliary_hash": "0x" + self.aux_hash.hex(),
            "tokenizer": self.quantizer.tokenizer or None,
            "secrets": secret_hashes,
        }

    def _public_files(self) -> dict[str, bytes]:
        return {
            PROGRAM: self.program_bytes,
            COMMITMENTS: self.point_bytes,
            MODEL_JSON: (json.dumps(self.record(), indent=2) + "\n").encode("ascii"),
            **({TOKENIZER: self.tokenizer} if self.tokenizer else {}),
        }


def parse_program(data: bytes) -> Layout:
    """The layout of registered program bytes; raises ModelDamaged unless the verifier section is
    exactly the one that the source section gives, and the source is valid."""
    size = int.from_bytes(data[10:14], "big")
    placed = _valid_layout(decode(data[size:]), data[6] if len(data) > 6 else 0)
    if serialize(placed.verifier) != data[:size]:
        raise ModelDamaged("the verifier section is not the one that its source section gives")
    return placed


def _points(data: bytes) -> tuple[Affine, ...]:
    steps = range(0, len(data), POINT_BYTES)
    return tuple(decode_point(data[at : at + POINT_BYTES]) for at in steps)


def _valid_layout(program: Program, k: int) -> Layout:
    validate(program)
    return layout(program, k)


def _fixed_tiles(placed: Layout, owned: Secrets, srs_id: bytes) -> list[Tile]:
    program = placed.program
    by_number = {i: owned.weights[program.tensors[i].name] for i in program.with_role(Role.WEIGHT)}
    program_hash = keccak(program_bytes(placed))
    digest = weights_digest(program, owned.weights)
    blinded = [
        Tile(cells, blinder(owned.key, program_hash, srs_id, digest, t))
        for t, cells in enumerate(weight_tiles(placed, by_number))
    ]
    return blinded + [Tile(cells, 0) for cells in table_tiles(placed)]


def _checked_weights(program: Program, weights: Mapping[str, IntArray]) -> dict[str, IntArray]:
    names = [program.tensors[i].name for i in program.with_role(Role.WEIGHT)]
    if set(weights) != set(names):
        raise ValueRefused(f"expected weights {sorted(names)}, got {sorted(weights)}")
    return {n: check_weight(program.tensors[program.named(n)], weights[n]) for n in names}


def check_quantizer(program: Program, quantizer: Quantizer) -> None:
    """Raises ModelError unless it speaks of an input and an output of the program as they are."""
    for spec, roles in (
        (quantizer.input, (Role.INPUT, Role.INPUT_COMMITTED)),
        (quantizer.output, (Role.OUTPUT, Role.OUTPUT_COMMITTED)),
    ):
        tensors = {program.tensors[i].name: program.tensors[i] for i in program.with_role(*roles)}
        if spec.tensor not in tensors:
            raise ModelError(
                f"expected a quantiser of one of {sorted(tensors)}, got one of {spec.tensor!r}"
            )
        tensor = tensors[spec.tensor]
        fits = int(np.prod(spec.shape)) == tensor.size
        if not fits or (spec.lo, spec.hi) != (tensor.lo, tensor.hi):
            raise ModelError(
                f"{spec.tensor}: expected a quantiser for shape {tensor.shape} in"
                f" [{tensor.lo}, {tensor.hi}], got {spec.shape} in [{spec.lo}, {spec.hi}]"
            )


def _load_secrets(folder: Path, program: Program, recorded: dict[str, Any]) -> Secrets | None:
    held = [name for name in (WEIGHTS, KEY) if (folder / name).exists()]
    if not held and recorded.get("secrets") is None:
        return None
    if KEY not in held:
        raise ModelDamaged(
            f"{KEY} is missing: restore it from a backup; without it this model can never be"
            " proved again"
        )
    if WEIGHTS not in held:
        raise ModelDamaged(f"{WEIGHTS} is missing: restore it from a backup")
    key = read(folder, KEY)
    if stat.S_IMODE((folder / KEY).stat().st_mode) & 0o077:
        warnings.warn(
            f"{folder / KEY} can be read by others: run chmod 600 on it", KeyExposed, stacklevel=3
        )
    with damage(WEIGHTS):
        weights = _checked_weights(program, unpack_weights(read(folder, WEIGHTS)))
    hashes = recorded.get("secrets")
    expected = hashes if isinstance(hashes, dict) else {}
    digest = weights_digest(program, weights)
    owned = Secrets(weights, key)
    checks = [(KEY, "key_sha256", key_hash(key))]
    checks += [(WEIGHTS, "weights_hmac_sha256", weights_mac(key, digest))]
    if "ranges_hmac_sha256" in expected:
        recorded_ranges = read(folder, RANGES)
        checks += [(RANGES, "ranges_hmac_sha256", _ranges_mac(key, recorded_ranges))]
        with damage(RANGES, TypeError):
            owned = replace(owned, ranges=unpack_ranges(recorded_ranges))
    for name, entry, got in checks:
        if got != expected.get(entry):
            raise ModelDamaged(f"{name} is not the one that {MODEL_JSON} records: restore it")
    return owned


def _ranges_mac(key: bytes, data: bytes) -> str:
    return weights_mac(key, RANGES.encode() + keccak(data))
