"""The contracts through Ape, as an owner, a dApp and an attacker use them on a chain of one's
own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import decode
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes

from oracle.adapters.abi import FUNCTIONS, REQUEST, call_data, request_from, topic
from oracle.adapters.rpc import Node
from oracle.cli.deploy import deploy_script
from oracle.domain import ids
from oracle.domain.errors import CallRefused
from oracle.domain.request import Request
from oracle.toolchain import ROOT, tool
from prover.api import Claim
from prover.errors import EinproofError
from prover.srs import Srs

ANSWER_SECONDS = 120
FEE, CALLBACK_GAS, CALLBACK_PRICE, HOUR = 10**15, 60_000, 10**9, 3600
ATTACKER = 2  # Anvil's accounts: 0 deploys and asks, 1 serves
FINAL = 4  # contracts/types/Status.sol


class StoryFailed(EinproofError):
    """A step did not end as it must."""


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
    @contextmanager
    def deployed(cls, url: str, srs: Srs, folder: Path, members: int = 0) -> Iterator[Desk]:
        """Compiles if sources changed, deploys all, writes FOLDER/deployments/31337.json;
        `members` are a committee's."""
        import ape
        from ape.logging import LogLevel, logger

        os.chdir(ROOT)  # ape's project is the folder that one is in
        logger.set_level(LogLevel.ERROR)
        with ape.networks.parse_network_choice(url):
            account = ape.accounts.test_accounts[0]
            made = deploy_script().deploy(account, srs, folder / "deployments", members=members)
            yield cls(url, made, folder)

    @property
    def environment(self) -> dict[str, str]:
        """In which einproof commands find this deployment."""
        path = self.folder / "deployments" / f"{self.chain_id}.json"
        return {**os.environ, "EINPROOF_DEPLOYMENT": str(path)}

    def command(self, name: str, target: Path) -> None:
        """Another einproof command, as a user would run it; raises StoryFailed."""
        command = [tool("einproof"), name, target, "--rpc", self.url, "--key", "dev", "--json"]
        ran = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, env=self.environment
        )
        if ran.returncode:
            raise StoryFailed(f"einproof {name} failed: {ran.stderr.strip()}")

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

    def context(self, request: Request, payee: str) -> bytes:
        """The word that a proof of this request for this payee is bound to."""
        return ids.context(self.chain_id, self.address("InferenceOracle"), request, payee)

    def verify_gas(self, claim: Claim) -> int:
        """Gas of a transaction straight to the verifier: 21,000 and calldata included."""
        receipt = self.contract("TensorVerifier").verify.transact(
            claim.model_id, claim.context, claim.input, claim.output, claim.proof,
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
