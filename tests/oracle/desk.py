"""The real contracts on a real chain, with the verifier's double, as the service sees them."""

import asyncio
from dataclasses import replace
from pathlib import Path

from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3.contract import Contract

from oracle.adapters.abi import topic
from oracle.adapters.chain import NodeChain
from oracle.adapters.rpc import Node
from oracle.domain.chain import Identity
from oracle.domain.request import Request, TierKind
from tests.contracts.bench import ETHER, GWEI, Bench
from tests.contracts.council import Council
from tests.contracts.desk import HARNESS, Desk
from tests.evm import Chain

LOGITS = bytes(range(20))


class EchoModels:
    """Any model is in a folder of its id's name."""

    async def find(self, model_id):
        return Path(model_id.hex())


class EchoEngine:
    name = "echo"

    async def run(self, folder, input):
        return LOGITS

    async def traced(self, folder, input):
        return await self.run(folder, input), keccak(b"trace" + input)


class EchoProver:
    """What EchoVerifier takes for a proof."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds

    async def prove(self, folder, context, input):
        await asyncio.sleep(self.seconds)
        kinds = ["bytes32", "bytes32", "bytes", "bytes"]
        return LOGITS, keccak(encode(kinds, [bytes.fromhex(folder.name), context, input, LOGITS]))


class LyingEngine(EchoEngine):
    """The operator's engine, deliberately corrupted: one bit of every output is wrong."""

    name = "corrupted"

    async def run(self, folder, input):
        return LOGITS[:-1] + bytes([LOGITS[-1] ^ 1])


class TokenBench(Bench):
    """Stakes are in a token of 18 decimals, of which 3,000 are worth an ether."""

    unit = 3000 * GWEI

    def open_vault(self, tiers: list[str]) -> Contract:
        self.token = self.chain.deploy(f"{HARNESS}/Token.sol")
        named = (tiers, self.token.address, self.unit)
        return self.chain.deploy("contracts/assurance/TokenVault.sol", *named)

    def mint(self, owner: str, tokens: int) -> None:
        self.chain.send(self.token.functions.mint(owner, tokens * ETHER))

    def tokens(self, owner: str) -> int:
        """In units, as the vault counts them; a rest is none of it."""
        held = int(self.chain.call(self.token.functions.balanceOf(owner)))
        assert held % self.unit == 0
        return held // self.unit


class Office:
    """A desk of the contracts' tests, and this side of it; with stakes, if asked for. `evmnet`: the
    address of drand's beacon, if there is one."""

    evmnet = ""

    def __init__(self, evm: Chain, *, staked: bool = False, bench: type[Bench] = Bench) -> None:
        self.evm = evm
        self.desk = bench(evm) if staked else Desk(evm)
        self.tiers = {self.desk.tier.address: TierKind.PROOF}
        if staked:
            self.tiers[self.desk.optimistic.address] = TierKind.OPTIMISTIC
        self.identity = Identity(31337, self.desk.oracle.address)
        self.asked = 0

    @classmethod
    def around(cls, desk: Desk, tiers: dict[str, TierKind]) -> "Office":
        """An office at a desk that exists already, and its tiers."""
        office = cls.__new__(cls)
        office.evm, office.desk, office.tiers, office.asked = desk.chain, desk, tiers, 0
        office.identity = Identity(31337, desk.oracle.address)
        return office

    @property
    def contracts(self) -> dict[str, str]:
        """As a deployment names them."""
        desk = self.desk
        named = {
            "InferenceOracle": desk.oracle,
            "ProofAssurance": desk.tier,
            "ModelRegistry": desk.registry,
        }
        if isinstance(desk, Bench):
            vault = "TokenVault" if isinstance(desk, TokenBench) else "StakeVault"
            named |= {"OptimisticAssurance": desk.optimistic, vault: desk.vault}
        if isinstance(desk, Council):
            named |= {"CommitteeAssurance": desk.council, "StakeVault": desk.vault}
        found = {name: contract.address for name, contract in named.items()}
        return found | ({"DrandEvmnet": self.evmnet} if self.evmnet else {})

    def wait(self, seconds: int) -> None:
        """A block that much later."""
        self.evm.rpc("evm_increaseTime", seconds)
        self.evm.rpc("evm_mine")

    def chain(self, url: str = "") -> NodeChain:
        return NodeChain(
            Node(url or self.evm.url),
            self.desk.oracle.address,
            self.tiers,
        )

    def ask(self, input: bytes = b"", *, wait: bool = True, **fields) -> Request:
        """Makes a request on the chain; what the service should see of it."""
        self.asked += 1
        data = input or b"input %d" % self.asked
        fields = {"deadline": self.evm.now() + 10**5, **fields}
        asked = self.desk.request(input=data, nonce=self.asked, **fields)
        function = self.desk.oracle.functions.request(asked.fields, data)
        if wait:
            self.evm.send(function, sender=asked.requester, value=asked.cost)
        else:
            function.transact({"from": asked.requester, "value": asked.cost, "gas": 1_000_000})
        request = Request(*asked.fields, input=data)
        return replace(request, id=self.desk.request_id(asked))

    def answers(self) -> list[bytes]:
        """Ids in the Answered events of the present chain, in order."""
        query = {"address": self.desk.oracle.address, "fromBlock": "0x0", "toBlock": "latest"}
        query["topics"] = ["0x" + topic("Answered").hex()]
        return [bytes.fromhex(log["topics"][1][2:]) for log in self.evm.rpc("eth_getLogs", query)]
