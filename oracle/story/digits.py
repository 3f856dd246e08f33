"""The story: a held-out digit, classified on-chain under a proof; then three attacks, refused.

Each step is what a user, a dApp or an attacker would do: Ape deploys, the service is a process of
its own, attacks go through the oracle's own `answer`. All state lies in one folder, made anew.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from oracle.domain.request import Request
from oracle.examples import digits
from oracle.story.anvil import anvil
from oracle.story.desk import Answer, Desk, StoryFailed
from oracle.story.process import service
from prover import kernels
from prover.api import Claim, Session
from prover.model import Model
from prover.srs import Srs, development_srs

SRS_POWERS = 12
SERVICE_KEY = "dev:1"


@dataclass
class Outcome:
    """What the closing table shows."""

    seconds: dict[str, float] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    model_id: str = ""
    label: int = -1
    truth: int = -1
    proof_bytes: int = 0
    gas: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class Story:
    """`tell` runs it; `say(step)` is called as each step begins, `said(step, found)` as it ends."""

    #: Anvil's further options, and a committee's size, where a story needs one.
    chain: Sequence[str] = ()
    members = 0

    def __init__(
        self, folder: Path, say: Callable[[str], None], said: Callable[[str, str], None]
    ) -> None:
        self.folder, self._say, self._said = folder, say, said
        self.outcome = self._begin()
        self.kernels = kernels.get()

    def _begin(self) -> Outcome:
        return Outcome()

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Times a step; what it appends to the list is shown beside it."""
        self._say(name)
        started, found = time.perf_counter(), list[str]()
        yield found
        self.outcome.seconds[name] = time.perf_counter() - started
        self._said(name, " ".join(found))

    def tell(self) -> Outcome:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        with self.step("warm the kernels") as found:
            for _ in self.kernels.warmup():
                pass
            srs = development_srs(self.kernels, SRS_POWERS)
            found.append(f"{self.kernels.name} tier; development SRS, forgeable by anyone")
        with self.step("train and quantise") as found:
            session = self._model(srs, found)
        with ExitStack() as stack:
            with self.step("start a chain, compile and deploy") as found:
                url = stack.enter_context(anvil(self.folder / "anvil.log", *self.chain))
                desk = stack.enter_context(Desk.deployed(url, srs, self.folder, self.members))
                found.append(f"{len(desk.contracts)} contracts with Ape on Anvil at {url}")
            self._on_chain(desk, session)
        return self.outcome

    def _on_chain(self, desk: Desk, session: Session) -> None:
        with self.step("register the model") as found:
            desk.command("register", self.folder / "models/digits")
            desk.add_classifier(session.model.id)
            found.append(f"id {self.outcome.model_id[:18]}..., weights private")
        _, held_out = digits.load()
        image = session.model.encode_input(held_out.images[:1])
        self.outcome.truth = int(held_out.labels[0])
        with service(desk, "service", SERVICE_KEY) as process:
            with self.step("request a classification") as found:
                first = desk.ask(image, self.outcome.gas)
                found.append(f"request 0x{first.id.hex()[:16]}...")
            with self.step("infer, prove, answer, call back") as found:
                answer = desk.await_answer(first, process)
                self.outcome.label, self.outcome.proof_bytes = answer.label, len(answer.proof)
                self.outcome.gas["answer, callback included"] = answer.gas
                found.append(f"label {answer.label} (truth {self.outcome.truth})")
        context = desk.context(first, answer.payee)
        claim = Claim(context, first.model_id, session.srs.id, image, answer.output, answer.proof)
        self.outcome.gas["verify directly"] = desk.verify_gas(claim)
        with self.step("attack") as found:
            second = desk.ask(image, {})
            self._attack(desk, session, second, answer)
            found.append(f"{len(self.outcome.refused)} of 3 refused")
        if len(self.outcome.refused) != 3 or self.outcome.label < 0:
            raise StoryFailed(f"expected an answer and three refusals, got {self.outcome}")

    def _model(self, srs: Srs, found: list[str]) -> Session:
        """Trains, quantises, commits; float and integer accuracy on the held-out images."""
        import torch

        from oracle.adapters.torch_engine import Network
        from prover.compiler import compile_module

        training, held_out = digits.load()
        module = digits.train(training)
        compiled = compile_module(module, digits.INPUT_SHAPE, digits.INPUT_RANGE)
        with torch.no_grad():
            floats = module(torch.tensor(held_out.images, dtype=torch.float32)).numpy()
        network = Network(compiled.program, compiled.weights)
        inputs = np.stack([compiled.quantizer.quantize(i[None]) for i in held_out.images])
        integers = network.run_batch({"input": inputs})["output"][:, 0]
        accuracy = self.outcome.accuracy
        accuracy["float"] = digits.accuracy(floats, held_out.labels)
        accuracy["integer"] = digits.accuracy(integers, held_out.labels)
        found.append(", ".join(f"{name} accuracy {a:.2%}" for name, a in accuracy.items()))
        model = Model.create(
            compiled.program, compiled.weights, compiled.quantizer, self.kernels, srs
        )
        model.save(self.folder / "models/digits")
        self.outcome.model_id = "0x" + model.id.hex()
        return Session(model, self.kernels, srs)

    def _attack(self, desk: Desk, session: Session, request: Request, old: Answer) -> None:
        """On an open request, with a true proof in hand: a wrong output, a flipped byte, a
        replay."""
        payee = desk.attacker
        output, proof, _ = session.prove(desk.context(request, payee), request.input)
        flipped = bytearray(proof)
        flipped[len(proof) // 2] ^= 1
        other = (int.from_bytes(output[:2], "big") ^ 1).to_bytes(2, "big") + output[2:]
        attacks = {
            "a wrong output": (payee, other, proof),
            "a flipped proof byte": (payee, output, bytes(flipped)),
            "a proof of another request": (old.payee, old.output, old.proof),
        }
        for name, (to, claimed, evidence) in attacks.items():
            error = desk.try_answer(request, to, claimed, evidence)
            if error is not None:
                self.outcome.refused[name] = error
        if desk.try_answer(request, payee, output, proof) is not None:
            raise StoryFailed("expected the attacker's true proof to be accepted, it was refused")
