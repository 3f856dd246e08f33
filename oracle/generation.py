"""Text, proved step by step: each proof is given the committed cache that the one before it left.

    text = TextSession(session, prompt, count, sampling);  chain = text.prove(context)
    tokens = verify_session(model, chain, context)

Every step is one proof about one model of `oracle.zoo.cached`: some tokens, the place of the first,
noise, and the cache in; the tokens that follow each, and the next cache out. A session is proved if
each proof holds, the first takes a cache of zeros and each other the points that the one before it
gave, places go on, and each token is the one that was answered for it (or the prompt's).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oracle.domain.sampling import Sampling
from prover.api import Claim, ClaimDamaged, ClaimForeign, check, reveal
from prover.errors import EinproofError
from prover.private import SECRET_BYTES, OpeningMismatch, TensorOpening
from prover.program.ir import Role
from prover.quantizer import IntArray

if TYPE_CHECKING:
    from oracle.adapters.torch_engine import Network
    from prover.api import Session
    from prover.model import Model

FORMAT = "einproof/session/v2"
IDS, PLACE, NOISE, CACHE = "input", "place", "noise", "cache"
NEXT, NEXT_CACHE = "output", "cache.next"
NO_CONTEXT = bytes(32)


class NotStepwise(EinproofError):
    """A model that does not go on from a cache."""


class TextRefused(EinproofError):
    """A prompt and a count of tokens that a model has no places for."""


class ChainBroken(EinproofError):
    """Proofs that are not one session: a link, a place, a token or noise is another's."""


@dataclass(frozen=True)
class Steps:
    """The lengths of a model's steps: tokens of each, places in all, tokens of the vocabulary."""

    tokens: int
    places: int
    vocabulary: int

    @classmethod
    def of(cls, model: Model) -> Steps:
        """Raises NotStepwise unless the statement is a step's, tensor by tensor."""
        roles = (Role.INPUT, Role.INPUT_COMMITTED, Role.OUTPUT, Role.OUTPUT_COMMITTED)
        found = {t.name: t for t in model.program.tensors if t.role in roles}
        expected = dict(zip((IDS, PLACE, NOISE, CACHE, NEXT, NEXT_CACHE), _ROLES, strict=True))
        if {name: t.role for name, t in found.items()} != expected:
            raise NotStepwise(
                f"expected a model with the statement {sorted(expected)}, such as nanogpt-steps,"
                f" got one with {sorted(found)}"
            )
        tokens, places = found[IDS].size, found[CACHE].shape[-2]
        noise, cache = found[NOISE], found[CACHE]
        fits = (
            found[NEXT].size == tokens
            and found[PLACE].size == 1
            and noise.size % tokens == 0
            and cache.shape == found[NEXT_CACHE].shape
            and (found[PLACE].lo, found[PLACE].hi) == (1 - tokens, places - tokens)
        )
        if not fits:
            raise NotStepwise(f"expected the shapes of a step, got {list(found.values())}")
        return cls(tokens, places, noise.size // tokens)

    def noise(self, sampling: Sampling, first: int) -> IntArray:
        """Of a step whose first token is at this place, row by row."""
        rows = (sampling.noise(first + i, self.vocabulary) for i in range(self.tokens))
        return np.array([cell for row in rows for cell in row], dtype=np.int64)

    def padding(self, fed: int) -> int:
        """The places in front of a text of `fed` tokens so that its last step is full."""
        return -fed % self.tokens


_ROLES = (
    Role.INPUT, Role.INPUT, Role.INPUT, Role.INPUT_COMMITTED, Role.OUTPUT, Role.OUTPUT_COMMITTED,
)  # fmt: skip


@dataclass(frozen=True)
class Chain:
    """The claims of a session in order; of the text, how many tokens the prompt is, and the rule by
    which the others were chosen. `secret` opens the first cache, which is zeros."""

    prompt: int
    sampling: Sampling
    claims: tuple[Claim, ...]
    secret: bytes

    def to_json(self) -> str:
        """One JSON object."""
        made = {
            "format": FORMAT,
            "prompt": self.prompt,
            "seed": "0x" + self.sampling.seed.hex(),
            "temperature": self.sampling.temperature,
            "secret": "0x" + self.secret.hex(),
            "claims": [json.loads(claim.to_json()) for claim in self.claims],
        }
        return json.dumps(made, indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> Chain:
        """From a file; raises ClaimDamaged."""
        try:
            return cls.from_json(path.read_bytes())
        except OSError as error:
            raise ClaimDamaged(f"{path}: cannot be read ({error.strerror})") from error
        except ClaimDamaged as error:
            raise ClaimDamaged(f"{path}: {error}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Chain:
        """The inverse; raises ClaimDamaged."""
        names = {"format", "prompt", "seed", "temperature", "secret", "claims"}
        try:
            found = json.loads(text)
            if not isinstance(found, dict) or found.get("format") != FORMAT or set(found) != names:
                raise ClaimDamaged(f"expected an object of format {FORMAT}, got another")
            prompt, temperature = found["prompt"], found["temperature"]
            seed, secret = found["seed"], found["secret"]
            if type(prompt) is not int or type(temperature) is not int:
                raise ClaimDamaged("expected whole numbers of tokens and of a temperature")
            if seed[:2] != "0x" or secret[:2] != "0x" or len(secret) != 2 + 2 * SECRET_BYTES:
                raise ClaimDamaged("expected seed and secret in hexadecimal")
            claims = tuple(Claim.from_json(json.dumps(claim)) for claim in found["claims"])
            sampling = Sampling(bytes.fromhex(seed[2:]), temperature)
            return cls(prompt, sampling, claims, bytes.fromhex(secret[2:]))
        except (ValueError, TypeError, RecursionError) as error:
            raise ClaimDamaged(f"expected a session of format {FORMAT}: {error}") from error


def is_session(path: Path) -> bool:
    """Whether a file says so; one that cannot be read does not."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("format") == FORMAT


def write(
    model: Model, prompt: Sequence[int], count: int, sampling: Sampling
) -> Iterator[tuple[dict[str, IntArray], dict[str, IntArray]]]:
    """(inputs, outputs) of each step of a text of `count` tokens after the prompt, by the model's
    integers: no proof. Raises NotStepwise, or TextRefused where there are not enough places."""
    from oracle.adapters.torch_engine import Network

    steps = Steps.of(model)
    fed = len(prompt) + count - 1  # nothing follows the last token
    if not prompt or count < 1 or fed > steps.places:
        raise TextRefused(
            f"expected a prompt and what follows to be 2 to {steps.places + 1} tokens, got"
            f" {len(prompt)} and {count}"
        )
    return _written(Network(model.program, model.owned.weights), steps, prompt, fed, sampling)


def _written(
    engine: Network, steps: Steps, prompt: Sequence[int], fed: int, sampling: Sampling
) -> Iterator[tuple[dict[str, IntArray], dict[str, IntArray]]]:
    shapes, length = {t.name: t.shape for t in engine.program.tensors}, steps.tokens
    cache, tokens = np.zeros(shapes[CACHE], dtype=np.int64), list(prompt)
    for first in range(-steps.padding(fed), fed, length):
        known = 0
        while known < length:
            known = min(len(tokens) - first, length)
            ids = [tokens[p] if 0 <= p < len(tokens) else 0 for p in range(first, first + length)]
            given = {
                IDS: np.array(ids, dtype=np.int64),
                PLACE: np.array([first], dtype=np.int64),
                NOISE: steps.noise(sampling, first),
                CACHE: cache,
            }
            given = {name: cells.reshape(shapes[name]) for name, cells in given.items()}
            made = engine.run(given)
            if first + known == len(tokens):
                tokens.append(int(made[NEXT].reshape(-1)[known - 1]))
        yield given, made
        cache = made[NEXT_CACHE]


class TextSession:
    """A prompt of token ids and the `count` tokens that follow it, proved step by step. Raises what
    `write` raises."""

    def __init__(
        self,
        session: Session,
        prompt: Sequence[int],
        count: int,
        sampling: Sampling | None = None,
        context: bytes = NO_CONTEXT,
    ) -> None:
        program = session.model.program
        Steps.of(session.model)
        self.session, self.context = session, context
        self.sampling, self.prompt = sampling or Sampling(), len(prompt)
        self.written = write(session.model, prompt, count, self.sampling)
        empty = np.zeros(program.tensors[program.named(CACHE)].shape, dtype=np.int64)
        self._opening = session.commit(empty)
        self.secret = self._opening.secret

    def step(self) -> Claim | None:
        """The next step's claim, which is given the cache that the one before it left; None after
        the last. Raises what a session's `prove` raises."""
        found = next(self.written, None)
        if found is None:
            return None
        session, model = self.session, self.session.model
        points = self._opening.points(session.kernels, session.srs)
        data = model.encode(Role.INPUT, found[0], {CACHE: points})
        output, proof, made = session.prove(self.context, data, {CACHE: self._opening})
        self._opening = made[NEXT_CACHE]
        return Claim(self.context, model.id, session.srs.id, data, output, proof)

    def prove(self) -> Chain:
        """All steps."""
        claims = []
        while (claim := self.step()) is not None:
            claims.append(claim)
        return Chain(self.prompt, self.sampling, tuple(claims), self.secret)


def verify_session(model: Model, chain: Chain, context: bytes | None = None) -> list[int]:
    """The tokens of a session that holds, prompt included; needs the public half of the model.

    Raises ChainBroken with the step, a ProofError, ClaimForeign, SrsError, or NotStepwise. The
    caller must still check: that the model is the audited one, that prompt and temperature are what
    was asked for, and that the seed was fixed before anybody could choose it.
    """
    steps = Steps.of(model)
    if not chain.claims:
        raise ChainBroken("expected at least one step, got none")
    text, answers = _linked(model, steps, chain)
    if not 1 <= chain.prompt <= len(text):
        raise ChainBroken(f"expected a prompt of 1 to {len(text)} tokens, got {chain.prompt}")
    for at in range(chain.prompt, len(text)):
        if text[at] != answers[at - 1]:
            raise ChainBroken(
                f"place {at}: expected token {answers[at - 1]}, which was answered, got {text[at]}"
            )
    bound = chain.claims[0].context if context is None else context
    for claim in chain.claims:
        check(model, claim, bound)
    _check_first(model, chain)
    return [*text, answers[-1]]


def _check_first(model: Model, chain: Chain) -> None:
    """That the first cache is zeros: of what it holds nothing else is proved, and whether a model
    lets no row be seen that no token has written is its author's affair."""
    zeros = np.zeros(model.program.tensors[model.program.named(CACHE)].shape, dtype=np.int64)
    opening = TensorOpening(zeros, model.srs_id, model.layout.k, chain.secret)
    try:
        found = reveal(model, chain.claims[0], [opening])
    except OpeningMismatch as error:
        raise ChainBroken(f"step 0: expected a cache of zeros: {error}") from error
    if CACHE not in found:
        raise ChainBroken("step 0: expected a cache of zeros, which is not the one that it takes")


def _linked(model: Model, steps: Steps, chain: Chain) -> tuple[list[int], list[int]]:
    """The tokens that the steps are given, and what each answers after them, where every step goes
    on from the one before it; proofs are not looked at."""
    text: list[int] = []
    answers: list[int] = []
    place, left = 0, None
    for number, claim in enumerate(chain.claims):
        if claim.model_id != model.id:
            own, other = model.id.hex(), claim.model_id.hex()
            raise ClaimForeign(f"step {number}: expected model 0x{own}, got 0x{other}")
        given, made = model.decode(Role.INPUT, claim.input), model.decode(Role.OUTPUT, claim.output)
        first = int(given[PLACE].reshape(-1)[0])
        if number == 0 and not -steps.tokens < first <= 0:
            raise ChainBroken(f"step 0: expected a text that begins there, got place {first}")
        if number and first != place:
            raise ChainBroken(f"step {number}: expected place {place}, got {first}")
        if number and model.decode_points(Role.INPUT, claim.input)[CACHE] != left:
            raise ChainBroken(f"step {number}: expected the cache that the one before it left")
        if not np.array_equal(given[NOISE].reshape(-1), steps.noise(chain.sampling, first)):
            raise ChainBroken(f"step {number}: expected the noise of the seed, got another")
        ids, padding = given[IDS].reshape(-1).tolist(), max(0, -first)
        if any(ids[:padding]):
            raise ChainBroken("step 0: expected zeros in front of the text")
        text += ids[padding:]
        answers += made[NEXT].reshape(-1).tolist()[padding:]
        left = model.decode_points(Role.OUTPUT, claim.output)[NEXT_CACHE]
        place = first + steps.tokens
    return text, answers
