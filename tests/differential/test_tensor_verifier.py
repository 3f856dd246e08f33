"""TensorVerifier.sol against prover/verify.py: what both accept, and what both make of garbage."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from web3.exceptions import Web3RPCError

from prover import curve, identity
from prover import verify as verifying
from prover.curve import GENERATOR, encode_point, multiply
from prover.errors import BadProgram
from prover.field import P
from prover.program import format as fmt
from prover.program.encode import encode
from prover.srs import development_id
from prover.statement import Statement
from prover.verify import VerifyingKey
from tests.evm import Chain, Reverted, artifact, reverts
from tests.onchain import CHUNK, Deployment
from tests.programs import Case, mlp, random_case
from tests.proving import setup, srs_of
from tests.stacks import blocks
from tests.tampering import random_proof, verdict

HARNESS = "tests/contracts/harness"
K_MAX = 12

pytestmark = pytest.mark.chain


@pytest.fixture(scope="module")
def deployment(anvil: Chain) -> Deployment:
    return Deployment.make(anvil, srs_of(None, K_MAX))


@pytest.fixture(scope="module")
def echo(anvil: Chain, deployment: Deployment) -> Deployment:
    """The same, but with an opening check that tells what it was asked."""
    mercury = anvil.deploy(f"{HARNESS}/EchoMercury.sol", development_id())
    addresses = (deployment.registry.address, mercury.address)
    verifier = anvil.deploy("contracts/verifier/TensorVerifier.sol", *addresses)
    return replace(deployment, mercury=mercury, verifier=verifier)


CASES = {
    "mlp": lambda: mlp([6, 5, 3]),
    "a batch": lambda: mlp([5, 4, 3], batch=3),
    "a stack": lambda: blocks(3),
    **{f"random {seed}": (lambda seed=seed: random_case(seed)) for seed in range(16)},
}


@pytest.mark.parametrize("name", CASES)
def test_both_accept_an_honest_proof(deployment: Deployment, name: str) -> None:
    made = deployment.setup(CASES[name]())
    proof = made.prove()
    made.verify(proof)
    deployment.verify(made.statement, proof)
    changed = replace(made.statement, context=bytes(32))
    assert verdict(deployment, made, changed, proof) == ("OpeningRejected", ())


def asked_by_python(
    monkeypatch: pytest.MonkeyPatch, key: VerifyingKey, statement: Statement, proof: bytes
) -> tuple[Any, ...]:
    """What the Python verifier asks of the opening."""
    asked: list[tuple[Any, ...]] = []

    def record(s_g2: Any, commitment: Any, point: Any, value: int, data: bytes, state: Any) -> None:
        asked.append((state.state, *(commitment or (0, 0)), value, tuple(point), data))

    monkeypatch.setattr(verifying, "verify_opening", record)
    verifying.verify(key, statement, proof)
    return asked[0]


def asked_by_solidity(echo: Deployment, statement: Statement, proof: bytes) -> tuple[Any, ...]:
    artifact(f"{HARNESS}/EchoMercury.sol")
    with pytest.raises(Reverted) as caught:
        echo.verify(statement, proof)
    assert caught.value.name == "Asked", caught.value
    return caught.value.arguments


@pytest.mark.parametrize("seed", range(12))
def test_both_ask_the_same_of_the_opening(
    monkeypatch: pytest.MonkeyPatch, echo: Deployment, seed: int
) -> None:
    """Transcript, commitment, point and value agree on whatever is well-formed."""
    rng = random.Random(seed)
    made = echo.setup(random_case(100 + seed))
    program = made.key.program
    for _ in range(3):
        statement = replace(
            made.statement,
            context=rng.randbytes(32),
            input=random_side(rng, program.input_bytes, program.input_tiles),
            output=random_side(rng, program.output_bytes, program.output_tiles),
        )
        proof = random_proof(rng, program)
        expected = asked_by_python(monkeypatch, made.key, statement, proof)
        assert asked_by_solidity(echo, statement, proof) == expected


def random_side(rng: random.Random, size: int, tiles: int) -> bytes:
    public = rng.randbytes(size - 64 * tiles)
    points = (multiply(GENERATOR, rng.randrange(1, P)) for _ in range(tiles))
    return public + b"".join(map(encode_point, points))


@pytest.mark.parametrize("seed", range(6))
def test_both_treat_any_program_alike(
    monkeypatch: pytest.MonkeyPatch, echo: Deployment, seed: int
) -> None:
    """Mutated verifier sections: not registered, for the reason that Python has, or the same
    question of both."""
    rng = random.Random(seed)
    made = setup(random_case(200 + seed))
    whole = fmt.serialize(made.layout.verifier)
    accepted = refused = 0
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 2, 5))):
            at = rng.randrange(32, len(data))  # the registry reads record 0
            data[at] = rng.choice((0, 1, 255, data[at] ^ 1, rng.randrange(256)))
        section = bytes(data)
        try:
            program = fmt.parse(section)
        except BadProgram as error:
            with reverts("BadProgram", *error.args):
                echo.register(section, made.key.fixed_points, made.srs.id)
            refused += 1
            continue
        model_id = echo.register(section, made.key.fixed_points, made.srs.id)
        statement = replace(made.statement, model_id=model_id)
        key = replace(made.key, model_id=model_id, program=program)
        proof = random_proof(rng, program)
        expected = asked_by_python(monkeypatch, key, statement, proof)
        assert asked_by_solidity(echo, statement, proof) == expected
        accepted += 1
    assert accepted > 5 and refused > 5


def test_unused_bytes_are_not_read(monkeypatch: pytest.MonkeyPatch, echo: Deployment) -> None:
    """All ones, of every table that has any."""
    rng = random.Random(6)
    made = setup(mlp([3, 2, 2]), k=11)
    v = made.layout.verifier
    data = bytearray(fmt.serialize(v))
    at = 4 * fmt.RECORD
    unused = [(32, ((7, 8), (16, 32))) for _ in v.kernels]
    unused += [(64, ((6, 32), (32 + 8 * len(view.axes), 64))) for view in v.views]
    unused += [(32, ((3, 4), (10, 32))) for _ in v.contractions]
    unused += [(32, ()) for _ in range(0, len(v.constants), 4)]
    unused += [(4, ()) for pairs in (v.products, *v.sums) for _ in pairs]
    for size, places in unused:
        for start, end in places:
            data[at + start : at + end] = b"\xff" * (end - start)
        at += size
    section = bytes(data)
    assert at == len(section) and fmt.parse(section) == v
    model_id = echo.register(section, made.key.fixed_points, made.srs.id)
    statement = replace(made.statement, model_id=model_id)
    proof = random_proof(rng, v)
    expected = asked_by_python(
        monkeypatch, replace(made.key, model_id=model_id, program=v), statement, proof
    )
    assert asked_by_solidity(echo, statement, proof) == expected


def test_fields_of_the_first_record_are_checked(deployment: Deployment) -> None:
    """By the registry; and what it takes, the verifier reads."""
    made = setup(mlp([3, 2]))
    whole = fmt.serialize(made.layout.verifier)
    for at, value, code in ((7, 5, 1), (6, 28, 0), (19, 255, 0), (23, 255, 4), (27, 0, 4)):
        section = whole[:at] + bytes([value]) + whole[at + 1 :]
        with reverts("BadProgram", code) if code else reverts("WrongLength"):
            model_id = deployment.register(section, made.key.fixed_points, made.srs.id)
            deployment.verify(replace(made.statement, model_id=model_id), b"")


def test_a_program_out_of_bounds_has_no_way_to_the_verifier(deployment: Deployment) -> None:
    """Each bound broken once, in a program whose source section is in order: the registry refuses
    it, and the id that it would have had is unknown."""
    case = mlp([3, 2])
    made = setup(case)
    v, points = made.layout.verifier, made.key.fixed_points
    span = fmt.Span(fmt.Source.R, v.n, 1)
    record, view = v.contractions[0], v.views[0]
    broken = {
        2: replace(v, rho_length=65),
        4: replace(v, stage1_tiles=0),
        5: replace(v, mask1=(v.tiles, 0)),
        6: replace(v, kernels=(replace(v.kernels[0], p=span), *v.kernels[1:])),
        7: replace(v, views=(replace(view, offset=v.input_bytes), *v.views[1:])),
        8: replace(v, contractions=(replace(record, relation=v.relations), *v.contractions[1:])),
        9: replace(v, sums=(*v.sums[:-1], ((v.values, 0), *v.sums[-1][1:]))),
    }
    sections = {code: fmt.serialize(bad) for code, bad in broken.items()}
    whole = fmt.serialize(v)
    sections |= {
        1: whole[:7] + b"\0" + whole[8:],
        3: whole[:41] + bytes([whole[41] ^ 1]) + whole[42:],
    }
    for code, section in sections.items():
        program = section + encode(case.program)
        with reverts("BadProgram", code):
            deployment.register(program, points, made.srs.id)
        unknown = identity.model_id(
            program, b"".join(map(encode_point, points)), made.srs.id, v.k, bytes(32)
        )
        with reverts("UnknownModel", unknown):
            deployment.verify(replace(made.statement, model_id=unknown), b"")


def test_the_first_wrong_part_is_named_by_both(deployment: Deployment) -> None:
    """With everything after it wrong too, the order of the checks shows."""
    case = next(c for c in map(random_case, range(50)) if has_both_committed(c))
    made = deployment.setup(case)
    program, good = made.key.program, made.statement
    proof = b"\xff" * program.proof_bytes
    names = []

    def note(statement: Statement, proof: bytes) -> None:
        names.append(verdict(deployment, made, statement, proof)[0])

    bad_input = good.input[:-64] + bytes(64)
    bad_output = good.output[:-1] + bytes([good.output[-1] ^ 1])
    note(good, proof)
    note(replace(good, output=bad_output), proof)
    note(replace(good, output=bad_output, input=bad_input), proof)
    note(replace(good, output=bad_output, input=bad_input), proof + b"\0")
    note(replace(good, output=good.output[:-1], input=bad_input), b"")
    note(replace(good, output=b"", input=good.input + b"\0"), b"")
    note(replace(good, model_id=bytes(32), input=b""), b"")
    assert names == [
        "NonCanonicalCoordinate",
        "PointNotOnCurve",
        "PointAtInfinity",
        "WrongLength",
        "WrongLength",
        "WrongLength",
        "UnknownModel",
    ]


def has_both_committed(case: Case) -> bool:
    roles = {t.role.name for t in case.program.tensors}
    return {"INPUT_COMMITTED", "OUTPUT_COMMITTED"} <= roles


def test_a_model_of_another_srs_is_refused(deployment: Deployment) -> None:
    case = mlp([3, 2])
    made = deployment.setup(case)
    program = fmt.serialize(made.layout.verifier) + encode(case.program)
    other = bytes(range(32))
    model_id = deployment.register(program, made.key.fixed_points, other)
    statement = replace(made.statement, model_id=model_id, srs_id=other)
    moved = replace(made, key=replace(made.key, model_id=model_id))
    found = verdict(deployment, moved, statement, b"")
    assert found == ("WrongSrs", (made.srs.id, other))


def test_another_model_with_the_same_program_is_refused(deployment: Deployment) -> None:
    """Other weight commitments are another model, and a proof does not carry over."""
    first, second = (deployment.setup(mlp([3, 2]), seed=seed) for seed in (0, 1))
    assert first.statement.model_id != second.statement.model_id
    proof = first.prove()
    deployment.verify(first.statement, proof)
    assert verdict(deployment, second, second.statement, proof) == ("OpeningRejected", ())


def test_models_are_read_across_chunks(anvil: Chain, deployment: Deployment) -> None:
    rng = random.Random(3)
    harness = anvil.deploy(f"{HARNESS}/ModelHarness.sol", deployment.registry.address)
    fixed = 800  # 51,200 bytes: three chunks, with a point across each border
    few = [multiply(GENERATOR, i + 1) for i in range(9)]
    points = tuple(curve.check_point(rng.choice(few)) for _ in range(fixed))
    least = fmt.VerifierProgram(
        k=12, fixed_tiles=fixed, input_bytes=0, output_bytes=0, input_tiles=0, output_tiles=0,
        stage1_tiles=1, stage2_tiles=1, relations=1, n=1, n_f=0, n_t=0, rho_length=0, c_max=0,
        rows=0, table_rows=0, slices=1, mask1=(0, 0), mask2=(0, 0), kernels=(), views=(),
        contractions=(fmt.ContractionRecord(0, 0, (0, 0, 0)),), constants=(), products=(),
        sums=(((0, 0),),) * (fixed + 8),
    )  # fmt: skip
    smallest = least.section_bytes
    for size in (smallest, CHUNK - 7, CHUNK + 25, 2 * CHUNK + 18, 2 * CHUNK + 50):
        size -= size % 32
        count = (size - smallest) // fmt.CONSTANT
        constants = tuple(rng.randrange(1 << 63) for _ in range(count))
        section = fmt.serialize(replace(least, constants=constants))
        assert len(section) == size
        program = section + rng.randbytes(rng.randrange(3000))
        model_id = deployment.register(program, points, development_id())
        assert anvil.call(harness.functions.section(model_id)) == program[:size]
        found = anvil.call(harness.functions.points(model_id, 64 * fixed))
        assert found == b"".join(map(encode_point, points))


def test_a_development_srs_is_refused_on_other_chains(deployment: Deployment) -> None:
    with Chain.start("--chain-id", "1") as other, reverts("DevelopmentSrs", 1):
        Deployment.make(other, srs_of(None, K_MAX))


def test_it_names_its_srs(anvil: Chain, deployment: Deployment) -> None:
    functions = deployment.verifier.functions
    assert anvil.call(functions.srsId()) == development_id()
    assert anvil.call(functions.srsDevelopment()) is True


def test_a_tile_size_above_the_srs_is_refused(anvil: Chain) -> None:
    small = Deployment.make(anvil, srs_of(None, 6))
    made = small.setup(mlp([3, 2]), k=7)
    assert made.key.program.k == 7
    with reverts("UnsupportedSize", 6, 7):
        small.verify(made.statement, random_proof(random.Random(4), made.key.program))


def test_too_little_gas_never_accepts(anvil: Chain, deployment: Deployment) -> None:
    made = deployment.setup(mlp([3, 2]))
    proof = made.prove()
    enough = deployment.gas(made.statement, proof)
    wrong = replace(made.statement, context=bytes(32))
    for gas in range(200_000, enough + 100_000, 25_000):
        with pytest.raises((Reverted, Web3RPCError)) as caught:
            anvil.call(deployment.verification(wrong, proof), gas=gas)
        if isinstance(caught.value, Web3RPCError):
            assert "OutOfGas" in str(caught.value)
        else:
            assert caught.value.name in {"PrecompileFailed", "OpeningRejected", ""}, caught.value


def test_the_runtime_code_fits(deployment: Deployment) -> None:
    assert len(artifact("contracts/verifier/TensorVerifier.sol").runtime) < 24_576
