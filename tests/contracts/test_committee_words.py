"""Words of an agreement that no transaction's calldata shows: whoever refutes it finds them in a
log, so that a lie costs its signers whichever way it is handed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import decode
from web3.contract import Contract

from tests.contracts.bench import COVERAGE, WRONG
from tests.contracts.council import QUORUM_TYPE, Council
from tests.contracts.desk import FINAL, HARNESS, IMAGE, REENTER
from tests.evm import artifact

BATCH = f"{HARNESS}/Batch.sol"


def by_a_callback(council: Council, answer: Any) -> Any:
    """Of another request's consumer, while that request is answered."""
    puppet, oracle = council.puppet(), council.oracle.address
    words = answer._encode_transaction_data()
    council.chain.send(puppet.functions.behave(REENTER, oracle, words))
    other = council.request(requester=puppet.address, callback_gas=1_000_000, nonce=9)
    asked = puppet.functions.ask(oracle, other.fields, IMAGE)
    council.chain.send(asked, value=other.cost)
    return council.prove(other)


def by_a_constructor(council: Council, answer: Any) -> Any:
    """Of a contract that has no code yet."""
    words = answer._encode_transaction_data()
    council.chain.deploy(f"{HARNESS}/Newborn.sol", council.oracle.address, words)
    (digest,) = council.chain.web3.eth.get_block("latest")["transactions"]
    return council.chain.web3.eth.get_transaction_receipt(digest)


def delegated(council: Council) -> Contract:
    """The collector's account, to which a contract's code was given (EIP-7702)."""
    code = "0xef0100" + council.chain.deploy(BATCH).address[2:]
    council.chain.rpc("anvil_setCode", council.collector, code)
    return council.chain.at(artifact(BATCH), council.collector)


def by_code_of_its_own(council: Council, answer: Any) -> Any:
    """Who began the transaction calls itself, and then the oracle."""
    words = [answer._encode_transaction_data()]
    call = delegated(council).functions.run(council.oracle.address, words)
    return council.chain.send(call, sender=council.collector, gas=5_000_000)


@pytest.mark.parametrize(
    "hand_in",
    [Council.through_a_contract, by_a_constructor, by_a_callback, by_code_of_its_own],
)
def test_words_that_no_calldata_shows_are_logged_and_refute(
    council: Council, members: bytes, hand_in: Callable[[Council, Any], Any]
) -> None:
    """A captured committee that lies through a contract is slashed as any other."""
    request = council.request()
    council.ask(request)
    receipt = hand_in(council, council.agreeing(request, members, WRONG))
    (words,) = council.spoken(request, receipt)
    (quorum,) = decode([QUORUM_TYPE], words)
    council.chain.send(council.refuting(request, WRONG, quorum), gas=5_000_000)
    assert council.status(request)[0] == FINAL
    assert council.owed(council.requester) == COVERAGE
    assert council.burned() >= COVERAGE


def test_words_of_a_plain_transaction_are_its_calldata(council: Council, members: bytes) -> None:
    """And are not logged again, for 10,000 gas."""
    request = council.request()
    council.ask(request)
    receipt = council.agree(request, members)
    assert council.spoken(request, receipt) == []
    sent = council.chain.web3.eth.get_transaction(receipt["transactionHash"])
    assert sent["to"] == council.oracle.address
    assert council.encoded(council.quorum(request, members)) in bytes(sent["input"])


def test_words_of_an_account_with_code_are_logged(council: Council, members: bytes) -> None:
    """Whether it was called in between cannot be told."""
    request = council.request()
    council.ask(request)
    delegated(council)
    receipt = council.agree(request, members)
    assert council.spoken(request, receipt) == [council.encoded(council.quorum(request, members))]
