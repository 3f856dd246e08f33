"""The story: a held-out digit, classified on-chain under a proof; then three attacks, refused.

Each step is what a user, a dApp or an attacker would do: Ape deploys, the service is a process of
its own, attacks go through the oracle's own `answer`. All state lies in one folder, made anew.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from eth_abi.abi import decode
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes

from oracle.adapters.abi import FUNCTIONS, REQUEST, call_data, request_from, topic
from oracle.adapters.rpc import Node
from oracle.cli.deploy import deploy_script
from oracle.domain import ids
from oracle.domain.errors import CallRefused
from oracle.domain.request import Request
from oracle.examples import digits
from oracle.story.anvil import anvil
from oracle.toolchain import ROOT, tool
from prover import kernels
from prover.api import Session
from prover.errors import EinproofError
from prover.model import Model
from prover.srs import Srs, development_srs

SRS_POWERS = 12
ANSWER_SECONDS = 120
FEE, CALLBACK_GAS, CALLBACK_PRICE, HOUR = 10**15, 60_000, 10**9, 3600
FINAL = 4  # contracts/types/Status.sol
SERVICE_KEY, ATTACKER = "dev:1", 2  # Anvil's accounts; 0 deploys and asks


class StoryFailed(EinproofError):
    """A step did not end as it must."""


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

    def __init__(
        self, folder: Path, say: Callable[[str], None], said: Callable[[str, str], None]
    ) -> None:
        self.folder, self._say, self._said = folder, say, said
        self.outcome = Outcome()
        self.kernels = kernels.get()

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
        with self.step("start a chain") as found:
            chain = anvil(self.folder / "anvil.log")
            url = chain.__enter__()
            found.append(f"Anvil at {url}")
        try:
            self._on_chain(url)
        finally:
            chain.__exit__(None, None, None)
        return self.outcome

    def _on_chain(self, url: str) -> None:
        with self.step("warm the kernels") as found:
            for _ in self.kernels.warmup():
                pass
            srs = development_srs(self.kernels, SRS_POWERS)
            found.append(f"{self.kernels.name} tier; development SRS, forgeable by anyone")
        with self.step("train and quantise") as found:
            session = self._model(srs, found)
        with self.step("compile and deploy") as found:
            desk = Desk.deploy(url, srs, self.folder)
            found.append(f"{len(desk.contracts)} contracts, with Ape")
        with self.step("register the model") as found:
            self._command("register", self.folder / "models/digits", url)
            desk.add_classifier(session.model.id)
            found.append(f"id {self.outcome.model_id[:18]}..., weights private")
        _, held_out = digits.load()
        image = session.model.encode_input(held_out.images[:1])
        self.outcome.truth = int(held_out.labels[0])
        with self._service(url) as service:
            with self.step("request a classification") as found:
                first = desk.ask(image, self.outcome.gas)
                found.append(f"request 0x{first.id.hex()[:16]}...")
            with self.step("infer, prove, answer, call back") as found:
                answer = desk.await_answer(first, service)
                self.outcome.label, self.outcome.proof_bytes = answer.label, len(answer.proof)
                self.outcome.gas["answer, callback included"] = answer.gas
                found.append(f"label {answer.label} (truth {self.outcome.truth})")
        self.outcome.gas["verify directly"] = desk.verify_gas(first, answer)
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

    def _command(self, name: str, target: Path, url: str) -> None:
        """Another einproof command, as a user would run it."""
        command = [tool("einproof"), name, str(target), "--rpc", url, "--key", "dev", "--json"]
        ran = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, env=self._environment()
        )
        if ran.returncode:
            raise StoryFailed(f"einproof {name} failed: {ran.stderr.strip()}")

    def _environment(self) -> dict[str, str]:
        deployment = self.folder / "deployments" / "31337.json"
        return {**os.environ, "EINPROOF_DEPLOYMENT": str(deployment)}

    @contextmanager
    def _service(self, url: str) -> Iterator[subprocess.Popen[bytes]]:
        """`einproof serve`, a process of its own; stopped by SIGTERM."""
        database = f"sqlite:///{self.folder / 'service.db'}"
        options = ["--rpc", url, "--key", SERVICE_KEY, "--models", str(self.folder / "models")]
        with (self.folder / "service.log").open("wb") as log:
            process = subprocess.Popen(
                [tool("einproof"), "serve", *options, "--database", database],
                cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=self._environment(),
            )  # fmt: skip
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _attack(self, desk: Desk, session: Session, request: Request, old: Answer) -> None:
        """On an open request, with a true proof in hand: a wrong output, a flipped byte, a
        replay."""
        payee = desk.attacker
        context = ids.context(desk.chain_id, desk.address("InferenceOracle"), request, payee)
        output, proof = session.prove(context, request.input)
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


@dataclass
class Answer:
    """What the service sent, as the chain has it."""

    payee: str
    output: bytes
    proof: bytes
    label: int
    gas: int


class Desk:
    """The contracts through Ape, on a chain that this process started."""

    def __init__(self, url: str, deployment: dict[str, Any], folder: Path) -> None:
        import ape

        self.ape, self.url, self.deployment, self.folder = ape, url, deployment, folder
        self.chain_id = int(deployment["chain_id"])
        self.account = ape.accounts.test_accounts[0]
        self.attacker = str(ape.accounts.test_accounts[ATTACKER].address)

    @property
    def contracts(self) -> dict[str, Any]:
        return dict(self.deployment["contracts"])

    @classmethod
    def deploy(cls, url: str, srs: Srs, folder: Path) -> Desk:
        """Compiles if sources changed, deploys all, writes the deployment's file."""
        import ape
        from ape.logging import LogLevel, logger

        os.chdir(ROOT)  # ape's project is the folder that one is in
        logger.set_level(LogLevel.ERROR)
        ape.networks.parse_network_choice(url).__enter__()
        made = deploy_script().deploy(ape.accounts.test_accounts[0], srs, folder / "deployments")
        return cls(url, made, folder)

    def address(self, name: str) -> str:
        return str(self.contracts[name]["address"])

    def contract(self, name: str) -> Any:
        return self.ape.project.get_contract(name).at(self.address(name))

    def add_classifier(self, model_id: bytes) -> None:
        self.deployment = deploy_script().deploy_classifier(
            self.account, model_id, self.deployment, self.folder / "deployments"
        )

    def ask(self, image: bytes, gas: dict[str, int]) -> Request:
        """The consumer asks; the request as the chain logged it."""
        classifier, oracle = self.contract("DigitClassifier"), self.address("InferenceOracle")
        deadline = self.ape.chain.pending_timestamp + HOUR
        value = FEE + CALLBACK_GAS * CALLBACK_PRICE
        receipt = classifier.classify(
            image, CALLBACK_PRICE, deadline, value=value, sender=self.account
        )
        gas["request"] = receipt.gas_used
        (log,) = self._logs("Requested", oracle, HexBytes(receipt.txn_hash))
        fields, data = decode([REQUEST, "bytes"], bytes(log["data"]))
        return request_from(fields, data, bytes(log["topics"][1]), to_checksum_address)

    def await_answer(self, request: Request, service: subprocess.Popen[bytes]) -> Answer:
        """Waits until the request is final and the consumer knows the label; what was sent."""
        oracle, expires = self.contract("InferenceOracle"), time.monotonic() + ANSWER_SECONDS
        while oracle.statusOf(request.id)[0] != FINAL:
            if service.poll() is not None or time.monotonic() > expires:
                log = self.folder / "service.log"
                raise StoryFailed(f"expected an answer within {ANSWER_SECONDS} s: see {log}")
            time.sleep(0.05)
        label, _ = self.contract("DigitClassifier").answerOf(request.id)
        (log,) = self._logs("Answered", oracle.address, None, request.id)
        sent = self.web3.eth.get_transaction(log["transactionHash"])
        gas = self.web3.eth.get_transaction_receipt(log["transactionHash"])["gasUsed"]
        _, _, payee, output, proof = decode(FUNCTIONS["answer"], bytes(sent["input"])[4:])
        return Answer(to_checksum_address(payee), output, proof, label, gas)

    def verify_gas(self, request: Request, answer: Answer) -> int:
        """Gas of a transaction straight to the verifier: 21,000 and calldata included."""
        context = ids.context(self.chain_id, self.address("InferenceOracle"), request, answer.payee)
        receipt = self.contract("TensorVerifier").verify.transact(
            request.model_id, context, request.input, answer.output, answer.proof,
            sender=self.account,
        )  # fmt: skip
        return int(receipt.gas_used)

    def try_answer(self, request: Request, payee: str, output: bytes, proof: bytes) -> str | None:
        """Calls `answer` as anyone could: the contract's error, or None if it would be accepted."""
        data = call_data("answer", request.fields, request.input, payee, output, proof)
        call = {
            "from": self.attacker, "to": self.address("InferenceOracle"), "data": "0x" + data.hex(),
        }  # fmt: skip

        async def ask() -> None:
            node = Node(self.url)
            try:
                await node.rpc("eth_call", call, "latest")
            finally:
                node.close()

        try:
            asyncio.run(ask())
        except CallRefused as error:
            return str(error)
        return None

    @property
    def web3(self) -> Any:
        return self.ape.chain.provider.web3

    def _logs(
        self, event: str, address: str, transaction: bytes | None, *topics: bytes
    ) -> list[Any]:
        wanted = [topic(event), *topics]
        found = self.web3.eth.get_logs({"address": address, "topics": wanted, "fromBlock": 0})
        return [f for f in found if transaction in (None, f["transactionHash"])]
