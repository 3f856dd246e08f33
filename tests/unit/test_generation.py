"""Text over a committed cache: steps agree with the whole model, broken chains are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from oracle.adapters.torch_engine import Network
from oracle.cli import main
from oracle.domain.errors import InputRefused
from oracle.domain.sampling import EXPONENT, Sampling, SamplingRefused, gumbel
from oracle.generation import (
    CACHE,
    IDS,
    NEXT,
    NEXT_CACHE,
    NOISE,
    PLACE,
    Chain,
    ChainBroken,
    NotStepwise,
    Steps,
    TextRefused,
    TextSession,
    verify_session,
    write,
)  # fmt: skip
from oracle.zoo.cached import CachedEntry, Step, compiled
from oracle.zoo.nanogpt import NanoGPT
from oracle.zoo.tokenizers import Characters, to_bytes
from prover import api, kernels
from prover.compiler import CompileError
from prover.compiler.quantize import largest_exponent
from prover.compiler.ranges import HEADROOM
from prover.compiler.step import Public, compile_step
from prover.errors import ProofError
from prover.model import Model
from prover.private import TensorOpening
from prover.program.interpret import interpret
from prover.program.ir import Role
from prover.quantizer import INT16_MAX, IntArray
from prover.srs import development_srs
from tests import digits

LETTERS, PLACES = "\nabcdefghi ", 8
SEED = bytes(range(1, 33))


def step(tokens: int, layers: int = 2, heads: int = 3) -> Step:
    torch.manual_seed(5)
    model = NanoGPT(len(LETTERS), PLACES, 12, heads, layers).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.7 if parameter.dim() == 2 else 1.0)
    return Step(model, tokens)


def texts(count: int = 8) -> IntArray:
    return np.random.default_rng(0).integers(0, len(LETTERS), (count, PLACES))


def entry(tokens: int, **sizes: int) -> CachedEntry:
    return CachedEntry(step(tokens, **sizes), texts(), 12, Characters(LETTERS))


def made(tokens: int, **sizes: int) -> Model:
    program = compiled(entry(tokens, **sizes))
    tier = kernels.get()
    return Model.create(
        program.program, program.weights, program.quantizer, tier, development_srs(tier, 13),
        tokenizer=to_bytes(Characters(LETTERS)),
    )  # fmt: skip


class Proved(NamedTuple):
    model: Model
    session: api.Session
    greedy: Chain
    sampled: Chain


@pytest.fixture(scope="module")
def proved() -> Proved:
    """Two sessions of one model, two tokens a step: four tokens after three, and after two."""
    model = made(2)
    session = api.Session(model)
    greedy = TextSession(session, [3, 1, 4], 4).prove()
    sampled = TextSession(session, [5, 2], 3, Sampling(SEED, 1500)).prove()
    return Proved(model, session, greedy, sampled)


# --- what a step computes ---


@pytest.mark.parametrize("tokens", [1, 2, 3, 8])
def test_steps_of_any_length_are_the_whole_model(tokens: int) -> None:
    """In float: the same logits as of the model that reads the text at once, whatever is in front
    of it and in the rows that no token wrote."""
    module = step(tokens)
    ids = torch.tensor(texts()[0])
    padding = -PLACES % tokens
    given = torch.cat((torch.zeros(padding, dtype=torch.int64), ids))
    cache, found = torch.full(module.cache, 3.0), []
    with torch.no_grad():
        for at in range(0, len(given), tokens):
            place = torch.tensor([at - padding])
            logits, cache = module.logits(given[at : at + tokens], place, cache)
            found.append(logits)
        whole = module.model(ids[None])[0]
    torch.testing.assert_close(torch.cat(found)[padding:], whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("tokens", [1, 3])
def test_engine_and_interpreter_agree_and_are_near_float(tokens: int) -> None:
    """Bit for bit, tensor by tensor; and the choice is float's where that is clear."""
    module, program = step(tokens), compiled(entry(tokens))
    engine = Network(program.program, program.weights)
    named = {t.name: t.shape for t in program.program.tensors}
    cache, exact = np.zeros(named[CACHE], np.int64), torch.zeros(module.cache)
    ids = texts()[1][: PLACES - PLACES % tokens]
    for at in range(0, len(ids), tokens):
        own = ids[at : at + tokens]
        cells = {IDS: own, PLACE: np.array([at]), CACHE: cache}
        cells[NOISE] = np.zeros((tokens, len(LETTERS)), np.int64)
        given = {name: value.reshape(named[name]) for name, value in cells.items()}
        found = engine.run(given)
        reference = interpret(program.program, {**given, **program.weights})
        for name, value in found.items():
            np.testing.assert_array_equal(value, reference[name], err_msg=name)
        with torch.no_grad():
            logits, exact = module.logits(torch.from_numpy(own), torch.tensor([at]), exact)
        best = logits.topk(2).values
        for i, choice in enumerate(found[NEXT].reshape(-1)):
            if best[i, 0] - best[i, 1] > 0.2:
                assert choice == logits[i].argmax()
        cache = found[NEXT_CACHE]


def test_cells_that_no_token_wrote_do_not_matter() -> None:
    """A first step's cache is anybody's: the same shares, tokens, and rows for its own. Scores may
    be whatever a proof allows, not only what the engine accepts."""
    found = compiled(entry(2))
    wide = ("shares.z", "shares.kept", "shares.max")
    tensors = tuple(
        replace(t, lo=-(1 << 15), hi=(1 << 15) - 1) if t.name.endswith(wide) else t
        for t in found.program.tensors
    )
    engine = Network(replace(found.program, tensors=tensors), found.weights)
    cache = next(t.shape for t in tensors if t.name == CACHE)
    reached, own = 0, slice(PLACES - 2, None)
    for ids in texts(40)[:, :2]:
        given = {IDS: ids, PLACE: np.array([0]), CACHE: np.zeros(cache, np.int64)}
        given[NOISE] = np.zeros((2, len(LETTERS)), np.int64)
        expected = engine.run(given)
        score = expected[f"{SHARES}.z"][:, 0, PLACES - 2]  # of the first token, with itself
        junk = np.zeros(cache, np.int64)
        for i in range(4):
            junk[KEYS, :, 2 + i, i] = UNIT
        each = engine.run(given | {CACHE: junk})[f"{SHARES}.z"][:, 0, :4]  # of a key's features
        most = np.minimum((1 << 15) - 1, 32000 * UNIT // np.maximum(1, np.abs(each).sum(axis=-1)))
        junk[KEYS] = (np.sign(each) * most[:, None])[:, None]
        try:
            made = engine.run(given | {CACHE: junk})
        except InputRefused:  # a score beyond 16 bits, which no proof can show
            continue
        hidden = made[f"{SHARES}.z"][:, 0, : PLACES - 2].max(axis=-1)
        reached += int((hidden - (1 << 15) > score).sum())
        for name in expected:
            if name.endswith((".shares", ".shares.max", NEXT)):
                np.testing.assert_array_equal(made[name], expected[name], err_msg=name)
        np.testing.assert_array_equal(made[NEXT_CACHE][:, :, own], expected[NEXT_CACHE][:, :, own])
    assert reached  # scores that the mask alone would not have kept from the maximum


SHARES, KEYS = "scaled_dot_product_attention_1.shares", 2  # of the second layer
UNIT = 1 << 13


def test_cells_that_tokens_wrote_matter(proved: Proved) -> None:
    """So that the test above is not one of a model that reads no cache."""
    model = proved.model
    engine = Network(model.program, model.owned.weights)
    *_, (last, answered) = write(model, [3, 1, 4], 4, Sampling())
    changed = engine.run(last | {CACHE: np.roll(last[CACHE], 1, axis=2)})
    assert any((changed[name] != answered[name]).any() for name in changed if name != NEXT_CACHE)


# --- chains ---


def test_a_session_holds_and_gives_its_tokens(proved: Proved) -> None:
    greedy = [int(n) for n in verify_session(proved.model, proved.greedy)]
    assert greedy[:3] == [3, 1, 4]
    assert len(greedy) == 7
    assert len(proved.greedy.claims) == 3
    sizes = {len(claim.proof) for claim in proved.greedy.claims}
    assert len(sizes) == 1  # whatever came before
    assert verify_session(proved.model, Chain.from_json(proved.sampled.to_json()))[:2] == [5, 2]


def test_a_session_is_what_the_whole_model_writes(proved: Proved) -> None:
    """Token by token in float, from the text so far, where the choice is clear."""
    whole = step(2).model
    tokens = verify_session(proved.model, proved.greedy)
    with torch.no_grad():
        logits = whole(torch.tensor([tokens[:-1]]))[0]
    for at in range(3, len(tokens)):
        best = logits[at - 1].topk(2)
        if best.values[0] - best.values[1] > 0.2:
            assert tokens[at] == best.indices[0]


Attack = Callable[[Proved], Chain]


def claims(chain: Chain, *order: int) -> Chain:
    return replace(chain, claims=tuple(chain.claims[i] for i in order))


def changed(proved: Proved, number: int, name: str, at: int, by: int) -> Chain:
    """One cell of a step's statement another one."""
    model, found = proved.model, list(proved.greedy.claims)
    claim = found[number]
    role = Role.OUTPUT if name == NEXT else Role.INPUT
    side = claim.output if role == Role.OUTPUT else claim.input
    cells = model.decode(role, side)
    cells[name].reshape(-1)[at] += by
    points = model.decode_points(role, side)
    again = model.encode(role, cells, points)
    field = {"output": again} if role == Role.OUTPUT else {"input": again}
    found[number] = replace(claim, **field)
    return replace(proved.greedy, claims=tuple(found))


def token(proved: Proved) -> Chain:
    """Another token, in what was answered and in what is fed on: no link shows it."""
    one = changed(proved, 1, NEXT, 1, 1)
    two = changed(proved, 2, IDS, 0, 1)
    return replace(one, claims=(*one.claims[:2], two.claims[2]))


def spliced(proved: Proved) -> Chain:
    """The second step of another session about the same prompt, under another cache."""
    again = TextSession(proved.session, [3, 1, 4], 4)
    assert again.step() is not None
    second = again.step()
    assert second is not None
    return replace(proved.greedy, claims=(proved.greedy.claims[0], second))


def relinked(proved: Proved) -> Chain:
    """The same with the points overwritten, so that the link holds and the proof does not."""
    model, chain = proved.model, spliced(proved)
    first, second = chain.claims
    left = model.decode_points(Role.OUTPUT, first.output)[NEXT_CACHE]
    cells = model.decode(Role.INPUT, second.input)
    forged = replace(second, input=model.encode(Role.INPUT, cells, {CACHE: left}))
    return replace(chain, claims=(first, forged))


def sampled(proved: Proved, seed: bytes, temperature: int) -> Chain:
    return replace(proved.sampled, sampling=Sampling(seed, temperature))


BROKEN: dict[str, tuple[Attack, type[Exception], str]] = {
    "swapped": (lambda p: claims(p.greedy, 0, 2, 1), ChainBroken, "step 1: expected place"),
    "skipped": (lambda p: claims(p.greedy, 0, 2), ChainBroken, "step 1: expected place"),
    "repeated": (lambda p: claims(p.greedy, 0, 1, 1), ChainBroken, "step 2: expected place"),
    "beheaded": (lambda p: claims(p.greedy, 1, 2), ChainBroken, "begins there"),
    "none": (lambda p: claims(p.greedy), ChainBroken, "at least one"),
    "other cache": (spliced, ChainBroken, "the cache that the one before"),
    "relinked": (relinked, ProofError, "expected"),
    "place": (lambda p: changed(p, 1, PLACE, 0, 1), ChainBroken, "expected place"),
    "fed token": (lambda p: changed(p, 2, IDS, 0, 1), ChainBroken, "which was answered"),
    "answer": (lambda p: changed(p, 1, NEXT, 0, 1), ChainBroken, "which was answered"),
    "last answer": (lambda p: changed(p, 2, NEXT, 1, 1), ProofError, "expected"),
    "prompt": (lambda p: changed(p, 0, IDS, 1, 1), ProofError, "expected"),
    "both": (token, ProofError, "expected"),
    "noise": (lambda p: changed(p, 1, NOISE, 3, 9), ChainBroken, "noise"),
    "seed": (lambda p: sampled(p, bytes(32), 1500), ChainBroken, "noise"),
    "temperature": (lambda p: sampled(p, SEED, 1501), ChainBroken, "noise"),
    "shorter prompt": (lambda p: replace(p.greedy, prompt=1), ChainBroken, "which was answered"),
    "longer prompt": (lambda p: replace(p.greedy, prompt=99), ChainBroken, "prompt of 1 to"),
    "another context": (
        lambda p: replace(
            p.greedy,
            claims=(*p.greedy.claims[:2], replace(p.greedy.claims[2], context=b"\1" * 32)),
        ),
        api.ClaimForeign,
        "context",
    ),
    "another model": (
        lambda p: replace(p.greedy, claims=(replace(p.greedy.claims[0], model_id=b"\1" * 32),)),
        api.ClaimForeign,
        "model",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_one_session_is_refused(proved: Proved, name: str) -> None:
    attack, error, message = BROKEN[name]
    with pytest.raises(error, match=message):
        verify_session(proved.model, attack(proved))


def test_a_session_begins_with_a_cache_of_zeros(proved: Proved) -> None:
    """Else its prover has chosen what the text goes on from, should a mask let it be seen."""
    text = TextSession(proved.session, [3, 1, 4], 4)
    cells = np.random.default_rng(0).integers(-9, 9, (4, 3, PLACES, 4))
    text._opening = proved.session.commit(cells)
    with pytest.raises(ChainBroken, match="cache of zeros"):
        verify_session(proved.model, text.prove())
    other = replace(proved.greedy, secret=proved.sampled.secret)
    with pytest.raises(ChainBroken, match="cache of zeros"):
        verify_session(proved.model, other)


def test_no_step_is_proved_about_another_cache(proved: Proved) -> None:
    """An opening of other cells than the points of the statement."""
    session, claim = proved.session, proved.greedy.claims[1]
    shape = (4, 3, PLACES, 4)
    other = TensorOpening.fresh(np.ones(shape, np.int64), session.srs.id, session.model.layout.k)
    with pytest.raises(api.OpeningMismatch):
        session.prove(bytes(32), claim.input, {CACHE: other})


# --- the command line ---


def command(*args: str) -> Result:
    return CliRunner().invoke(main.app, list(args))


def test_commands_prove_and_verify_a_text(proved: Proved, tmp_path: Path) -> None:
    folder, file = str(tmp_path / "model"), str(tmp_path / "session.json")
    proved.model.save(Path(folder))
    made = command("generate", folder, "ac", "-n", "1", "--prove", "--out", file, "--json")
    assert made.exit_code == 0, made.output
    text = json.loads(made.stdout.splitlines()[-1])["text"]
    assert len(text) == 1
    found = command("verify", folder, file, "--json")
    assert found.exit_code == 0, found.output
    report = json.loads(found.stdout.splitlines()[-1])
    assert (report["prompt"], report["text"], report["steps"]) == ("ac", text, 1)
    plain = command("generate", folder, "ac", "-n", "1", "--json")
    assert json.loads(plain.stdout.splitlines()[-1])["text"] == text
    assert command("generate", folder, "abca", "-n", "1").stdout.startswith("abca")
    assert command("generate", folder, "abca", "-n", "1").stdout.count("abca") == 1


def test_commands_refuse_a_broken_session(proved: Proved, tmp_path: Path) -> None:
    folder, file = tmp_path / "model", tmp_path / "session.json"
    proved.model.save(folder)
    file.write_text(claims(proved.greedy, 0, 2).to_json())
    found = command("verify", str(folder), str(file), "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout.splitlines()[-1])["error"] == "ChainBroken"
    for damaged in ('{"format": "einproof/session/v2"}', claims(proved.greedy).to_json()):
        file.write_text(damaged)
        assert command("verify", str(folder), str(file)).exit_code == 1


# --- limits ---


def test_a_text_has_as_many_tokens_as_places(proved: Proved) -> None:
    steps = list(write(proved.model, [1, 2, 3], PLACES - 2, Sampling()))
    assert len(steps) == PLACES // 2
    for prompt, count in (([1, 2, 3], PLACES - 1), ([], 1), ([1], 0)):
        with pytest.raises(TextRefused):
            next(write(proved.model, prompt, count, Sampling()))


def test_another_model_has_no_steps() -> None:
    found = digits.compiled()
    tier = kernels.get()
    with pytest.raises(NotStepwise):
        Steps.of(
            Model.create(
                found.program, found.weights, found.quantizer, tier, development_srs(tier, 13)
            )
        )


class Untidy(torch.nn.Module):
    """A state that is computed anew: nothing says that it keeps its scale."""

    def forward(self, ids: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        moved = torch.nn.functional.gelu(state * 0.3)
        return (moved + ids).sum(-1), moved


def test_a_state_on_another_scale_is_refused() -> None:
    given = {"ids": np.zeros((2, 4)), "state": np.linspace(-9, 9, 8).reshape(2, 4)}
    with pytest.raises(CompileError, match="in steps of"):
        compile_step(Untidy(), [Public("ids", (2, 4), 0, 3)], ("state", (2, 4)), [given])


class Doubled(torch.nn.Module):
    """A norm with a gain is the next state, and the only thing that the output is made of."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.norm, self.head = torch.nn.LayerNorm(12), torch.nn.Linear(12, 3)
        self.norm.weight.data.uniform_(0.2, 0.5)

    def forward(self, ids: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        moved = self.norm(state + ids)
        return self.head(moved), moved


class Pooled(torch.nn.Module):
    """A state that is a maximum of windows, stored with the windows that nobody asks for."""

    def forward(self, ids: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        moved = torch.nn.functional.max_pool1d(state + ids, 3, 1, 1)
        return moved.sum(-1), moved


@pytest.mark.parametrize("module", [Doubled(), Pooled()])
def test_a_state_is_what_torch_makes_and_as_long_as_it_was(module: torch.nn.Module) -> None:
    rng, shape = np.random.default_rng(0), (2, 12)  # 12 are stored as 16
    given = [
        {"ids": rng.integers(0, 4, shape), "state": rng.uniform(-4, 4, shape)} for _ in range(4)
    ]
    made = compile_step(module, [Public("ids", shape, 0, 3)], ("state", shape), given)
    kept, left = (made.program.tensors[made.program.named(n)] for n in ("state", "state.next"))
    assert kept.shape == left.shape
    exponent = largest_exponent(np.array(made.ranges["state"]) * HEADROOM, INT16_MAX)
    assert exponent is not None
    cells = np.ldexp(np.array(given[0]["state"]), exponent).round().astype(np.int64)
    found = interpret(made.program, {"input": given[0]["ids"], "state": cells, **made.weights})
    with torch.no_grad():
        ids, state = (torch.tensor(given[0][name]).float() for name in ("ids", "state"))
        expected = module(ids, state)[1].numpy()
    steps = np.ldexp(found["state.next"].astype(float), -exponent)
    np.testing.assert_allclose(steps, expected, atol=0.02)


class Cast(Step):
    """Truth values that were numbers in between."""

    def seen(self, place: torch.Tensor) -> torch.Tensor:
        return super().seen(place).long() != 0


def test_what_a_steps_mask_hides_is_taken_out_however_the_mask_is_made() -> None:
    own = entry(2, layers=1)
    plain = step(2, layers=1)
    made = compiled(replace(own, step=Cast(plain.model, 2)))
    scores = [t.name for t in made.program.tensors if t.name.endswith(".max")]
    kept = {t.name for t in made.program.tensors if t.name.endswith(".kept")}
    assert scores and kept >= {name.removesuffix(".max") + ".kept" for name in scores}


# --- sampling ---


def test_noise_is_gumbels_and_the_same_everywhere() -> None:
    """Frozen numbers; mean and spread of the distribution (0.5772, pi / sqrt 6)."""
    rule = Sampling(SEED, 1000)
    assert rule.noise(0, 4) == rule.noise(0, 40)[:4]
    assert rule.noise(0, 40) != rule.noise(1, 40)
    assert rule.noise(-1, 3) == [0, 0, 0] == Sampling(SEED, 0).noise(5, 3)
    many = np.ldexp(np.array(rule.noise(7, 40000), dtype=np.float64), -EXPONENT)
    assert abs(many.mean() - 0.5772) < 0.03
    assert abs(many.std() - np.pi / np.sqrt(6)) < 0.03
    assert rule.noise(3, 6) == FROZEN


FROZEN = [31, -1430, 665, -588, 2352, -948]


def test_sampling_follows_the_softmax() -> None:
    """Choices from fixed logits over many places, against their shares; at half the temperature
    against those of twice the logits."""
    logits = np.array([0.0, 1.0, 2.0, -1.0])
    for temperature in (500, 1000, 2000):
        rule = Sampling(SEED, temperature)
        drawn = [
            int(np.argmax(logits + np.ldexp(np.array(rule.noise(p, 4), np.float64), -EXPONENT)))
            for p in range(6000)
        ]
        shares = np.exp(1000 * logits / temperature)
        found = np.bincount(drawn, minlength=4) / len(drawn)
        np.testing.assert_allclose(found, shares / shares.sum(), atol=0.02)


@pytest.mark.parametrize(("seed", "temperature"), [(b"", 1), (SEED, -1), (SEED, 2001)])
def test_no_rule_for_other_seeds_and_temperatures(seed: bytes, temperature: int) -> None:
    with pytest.raises(SamplingRefused):
        Sampling(seed, temperature)


@pytest.mark.parametrize(("word", "noise"), [(0, -5052), (0xFFFF, 24133)])
def test_the_least_and_greatest_noise_fit_the_statement(word: int, noise: int) -> None:
    share = (Decimal(word) + Decimal("0.5")) / (1 << 16)
    exact = -2 * (-share.ln()).ln() * (1 << EXPONENT)
    assert abs(exact - noise) <= Decimal("0.5")
    assert -(1 << 15) <= noise < 1 << 15
    assert gumbel(word, 2000) == noise
