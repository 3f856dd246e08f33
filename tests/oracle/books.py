"""What a chain says of a mixed run: events by request and when, gas by step, everybody's wealth."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import decode
from eth_hash.auto import keccak

from oracle.adapters.abi import FUNCTIONS
from oracle.domain.chain import Status
from oracle.story.desk import Desk

GWEI = 10**9


@dataclass(frozen=True)
class Event:
    """A log that names a request."""

    name: str
    transaction: str
    topics: tuple[bytes, ...]
    data: bytes
    block: int


@dataclass
class Books:
    """Read from the chain's logs, from where it stopped reading."""

    desk: Desk
    told: dict[bytes, list[Event]] = field(default_factory=lambda: defaultdict(list))
    status: dict[bytes, Status] = field(default_factory=dict)
    _ends: dict[str, Status] = field(default_factory=dict)
    _times: dict[int, int] = field(default_factory=dict)
    _first: int = 0
    _next: int = 0

    def __post_init__(self) -> None:
        types = {name: self.desk.contract(name).contract_type for name in self.desk.contracts}
        self._events = {
            keccak(event.selector.encode()): event.name
            for made in types.values()
            for event in made.events
        }
        self._functions = {
            keccak(method.selector.encode())[:4]: method.name
            for made in types.values()
            for method in made.mutable_methods
        }
        self._first = self._next = int(self.desk.web3.eth.block_number) + 1

    def read(self) -> None:
        last = self.desk.web3.eth.block_number
        if last < self._next:
            return
        places = [entry["address"] for entry in self.desk.contracts.values()]
        query = {"address": places, "fromBlock": self._next, "toBlock": last}
        for log in self.desk.web3.eth.get_logs(query):
            topics = tuple(bytes(topic) for topic in log["topics"])
            event = Event(
                self._events[topics[0]],
                log["transactionHash"].hex(),
                topics,
                bytes(log["data"]),
                log["blockNumber"],
            )
            for topic in topics[1:]:  # a vault's events name their request third
                self.told[topic].append(event)
            self._follow(event)
        self._next = last + 1

    def _follow(self, event: Event) -> None:
        if event.name == "Requested":
            self.status[event.topics[1]] = Status.OPEN
        elif event.name in ("Answered", "Returned"):
            end = Status(int.from_bytes(event.data[:32], "big"))
            self.status[event.topics[1]] = self._ends[event.transaction] = end

    def count(self, id: bytes, name: str) -> int:
        return sum(event.name == name for event in self.told[id])

    def outputs(self, id: bytes) -> list[tuple[Status, bytes]]:
        """What was answered: how, and what."""
        answers = [event for event in self.told[id] if event.name == "Answered"]
        found = [decode(["uint8", "bytes"], event.data) for event in answers]
        return [(Status(status), output) for status, output in found]

    def answered(self, id: bytes) -> tuple[int, int] | None:
        """The chain's seconds when it was asked and when first answered, if it was."""
        first = [event for event in self.told[id] if event.name == "Answered"][:1]
        return (self._time(self.told[id][0]), self._time(first[0])) if first else None

    def _time(self, event: Event) -> int:
        if event.block not in self._times:
            self._times[event.block] = self.desk.web3.eth.get_block(event.block)["timestamp"]
        return self._times[event.block]

    # --- gas and wealth ---------------------------------------------------------------------------

    def steps(self) -> Steps:
        """Every transaction since these books were opened."""
        eth, made = self.desk.web3.eth, Steps()
        for number in range(self._first, eth.block_number + 1):
            for sent in eth.get_block(number, full_transactions=True)["transactions"]:
                receipt = eth.get_transaction_receipt(sent["hash"])
                gas, price = receipt["gasUsed"], receipt["effectiveGasPrice"]
                hash = sent["hash"].hex()
                made.of[hash] = (self._step(hash, bytes(sent["input"])), gas)
                made.paid[sent["from"]] += gas * price
        return made

    def _step(self, hash: str, data: bytes) -> str:
        """What a transaction does; an answer by what it comes to."""
        name = self._functions.get(data[:4], "pay")
        end = self._ends.get(hash)
        if name != "answer" or end is None:
            return name
        if end is Status.FINAL:
            return "prove" if decode(FUNCTIONS["answer"], data[4:])[4] else "finalise"
        return "answer" if end is Status.PROVISIONAL else "retract"

    def wealth(self, people: Mapping[str, str]) -> dict[str, int]:
        """Wei that each has, in wallet, stake and credit."""
        vault, oracle = self.desk.contract("StakeVault"), self.desk.contract("InferenceOracle")
        council = self.desk.contract("CommitteeAssurance")
        found = {}
        for name, address in people.items():
            held = int(vault.accountOf(address).stake) + int(vault.credit(address))
            purse = int(self.desk.web3.eth.get_balance(address))
            owed = int(oracle.credit(address)) + int(council.credit(address))
            found[name] = purse + held * GWEI + owed
        return found

    def held(self, name: str) -> int:
        """Wei that a contract has."""
        return int(self.desk.web3.eth.get_balance(self.desk.address(name)))

    def burned(self) -> int:
        """Wei that are the vault's for ever."""
        return int(self.desk.contract("StakeVault").burned()) * GWEI


@dataclass
class Steps:
    """Transactions: what each does and its gas; wei that each sender paid for gas."""

    of: dict[str, tuple[str, int]] = field(default_factory=dict)
    paid: Counter[str] = field(default_factory=Counter)

    def table(self, stories: Iterable[list[Event]]) -> dict[str, Any]:
        """Of some requests: gas in all, mean and most, and by step, mean and how many a request."""
        by_step: dict[str, list[int]] = defaultdict(list)
        sums = []
        for story in stories:
            sent = [self.of[hash] for hash in dict.fromkeys(event.transaction for event in story)]
            for step, gas in sent:
                by_step[step].append(gas)
            sums.append(sum(gas for _, gas in sent))
        return {
            "gas_mean": round(statistics.mean(sums)),
            "gas_most": max(sums),
            "steps": {
                step: {"times": len(used), "gas_mean": round(statistics.mean(used))}
                for step, used in by_step.items()
            },
        }
