"""RebalancingVault on the optimistic tier: final answers only, fresh ones, once, in small moves."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from web3.contract import Contract

from tests.contracts.bench import COVERAGE, DAY, PROVING, UNANSWERABLE, WINDOW, Bench, terms
from tests.contracts.desk import FINAL, HARNESS, PROVISIONAL, REFUNDED, RETRACTED, Request
from tests.contracts.examples import allocation, answer_of, asked, naming, proof_of, registered
from tests.evm import Chain, reverts
from tests.onchain import Deployment
from tests.proving import srs_of

ETHER, GWEI = 10**18, 10**9
EXPONENT = 14
VALUE = 10**15 + 80_000 * GWEI


@dataclass
class Treasury:
    """A vault with six ether in each of two strategies, and who asks for it."""

    bench: Bench
    vault: Contract
    strategies: tuple[Contract, Contract]

    @classmethod
    def make(
        cls, bench: Bench, model_id: bytes, exponents: tuple[int, int] = (EXPONENT, EXPONENT)
    ) -> Treasury:
        chain = bench.chain
        first, second = (chain.deploy(f"{HARNESS}/Strategy.sol", rate) for rate in (800, 300))
        vault = chain.deploy(
            "contracts/examples/RebalancingVault.sol",
            bench.oracle.address,
            bench.optimistic.address,
            model_id,
            list(exponents),
            [first.address, second.address],
        )
        chain.pay(vault.address, 12 * ETHER)
        for place in (0, 1):
            chain.send(vault.functions.invest(place, 6 * ETHER))
        return cls(bench, vault, (first, second))

    def ask(self, value: int = VALUE) -> tuple[Request, bytes]:
        receipt = self.bench.chain.send(
            self.vault.functions.ask(GWEI), sender=self.bench.requester, value=value
        )
        return asked(self.bench, receipt)

    def finalise(self, request: Request, input: bytes, output: bytes) -> bool:
        """The operator's answer, after its window. Whether the vault took it."""
        self.bench.post(request, image=input, output=output)
        self.bench.wait(WINDOW + 1)
        receipt = self.bench.post(request, image=input, output=output)
        (event,) = self.bench.events(receipt, "CalledBack")
        return bool(event["delivered"])

    def rebalance(self) -> None:
        self.bench.chain.send(self.vault.functions.rebalance(), sender=self.bench.stranger)

    def holds(self) -> list[int]:
        return [self.bench.chain.balance(one.address) for one in self.strategies]


@pytest.fixture
def treasury(bench: Bench) -> Treasury:
    return Treasury.make(bench, bench.model_id)


def share(of: float) -> bytes:
    return round(of * 2**EXPONENT).to_bytes(2, "big", signed=True)


def test_ask_reads_its_input_from_the_strategies(treasury: Treasury) -> None:
    request, input = treasury.ask()
    cells = [int.from_bytes(input[at : at + 2], "big") for at in (0, 2, 4)]
    assert cells == [part * 2**EXPONENT // 10_000 for part in (800, 300, 5000)]
    assert request.terms == terms(COVERAGE, PROVING)
    assert request.refund_to == treasury.bench.requester


@pytest.mark.parametrize(
    ("aim", "expected"),
    [
        (0.9, [6.6, 5.4]),  # a twentieth of twelve ether
        (0.0, [5.4, 6.6]),
        (-1.0, [5.4, 6.6]),
        (1.9, [6.6, 5.4]),
        (0.5, [6.0, 6.0]),
        (0.52, [6.24, 5.76]),
    ],
)
def test_rebalance_moves_towards_the_answer_within_its_bound(
    treasury: Treasury, aim: float, expected: list[float]
) -> None:
    assert treasury.finalise(*treasury.ask(), share(aim))
    treasury.rebalance()
    assert [round(wei / ETHER, 4) for wei in treasury.holds()] == expected


def test_rebalance_on_a_wrong_answer_that_is_final_is_paid_back_by_nobody(
    treasury: Treasury,
) -> None:
    bench = treasury.bench
    request, input = treasury.ask()
    right, wrong = share(0.5), share(0.9)
    proof = naming(bench.operator, wrong) + bench.proof(request, bench.prover, input, right)
    refuted = {"payee": bench.prover, "image": input, "output": right, "proof": proof}
    before, taken = bench.chain.snapshot(), bench.account()["stake"]
    bench.post(request, image=input, output=wrong)
    bench.prove(request, **refuted)
    assert bench.owed(treasury.vault.address) == COVERAGE, "in time it is, and nothing has moved"
    assert treasury.holds() == [6 * ETHER, 6 * ETHER]

    bench.chain.restore(before)
    assert treasury.finalise(request, input, wrong)
    treasury.rebalance()
    assert treasury.holds() == [66 * ETHER // 10, 54 * ETHER // 10]
    with reverts("WrongStatus", bench.request_id(request), FINAL):
        bench.prove(request, **refuted)
    assert bench.owed(treasury.vault.address) == 0
    assert bench.account()["stake"] == taken


def test_rebalance_moves_no_more_than_the_coverage(treasury: Treasury) -> None:
    chain = treasury.bench.chain
    chain.set_balance(treasury.strategies[0].address, 100 * ETHER)
    assert treasury.finalise(*treasury.ask(), share(0))
    treasury.rebalance()
    assert treasury.holds() == [99 * ETHER, 7 * ETHER]


def test_rebalance_provisional_answer_moves_nothing(treasury: Treasury) -> None:
    bench = treasury.bench
    request, input = treasury.ask()
    bench.post(request, image=input, output=share(0.9))
    assert bench.status(request)[0] == PROVISIONAL
    with reverts("NotWanted"):
        function = bench.oracle.functions.deliver(request.fields, bench.operator, share(0.9))
        bench.chain.send(function)
    with reverts("NotFinal", PROVISIONAL):
        function = treasury.vault.functions.onInference(
            bench.request_id(request), PROVISIONAL, share(0.9)
        )
        bench.chain.call(function, sender=bench.oracle.address)
    with reverts("NothingToDo", 0):
        treasury.rebalance()


def test_rebalance_twice_on_one_answer_is_refused(treasury: Treasury) -> None:
    assert treasury.finalise(*treasury.ask(), share(0.9))
    treasury.rebalance()
    with reverts("NothingToDo", 0):
        treasury.rebalance()


def test_rebalance_on_a_stale_answer_is_refused(treasury: Treasury) -> None:
    asking = treasury.ask()
    asked_at = treasury.bench.chain.now()
    assert treasury.finalise(*asking, share(0.9))
    treasury.bench.chain.next_timestamp(asked_at + 2 * DAY + 1)
    with reverts("NothingToDo", asked_at + 2 * DAY):
        treasury.rebalance()


def test_rebalance_reentered_by_a_strategy_is_refused(treasury: Treasury) -> None:
    bench, (first, _) = treasury.bench, treasury.strategies
    assert treasury.finalise(*treasury.ask(), share(0.0))
    for name, arguments in (("rebalance", ()), ("ask", (0,))):
        snapshot = bench.chain.snapshot()
        data = treasury.vault.functions[name](*arguments)._encode_transaction_data()
        bench.chain.send(first.functions.set(800, 0, data))
        treasury.rebalance()
        assert bench.chain.call(first.functions.reentered()) is False
        assert treasury.holds() == [54 * ETHER // 10, 66 * ETHER // 10]
        bench.chain.restore(snapshot)


def test_rebalance_strategy_that_sends_too_little_is_refused(treasury: Treasury) -> None:
    assert treasury.finalise(*treasury.ask(), share(0.0))
    treasury.bench.chain.send(treasury.strategies[0].functions.set(800, 1, b""))
    amount = 12 * ETHER // 20
    with reverts("Short", amount, amount - 1):
        treasury.rebalance()


def test_ask_while_one_is_pending_or_for_too_little_is_refused(treasury: Treasury) -> None:
    bench = treasury.bench
    with reverts("PaymentTooSmall", VALUE, VALUE - 1):
        treasury.ask(VALUE - 1)
    request, input = treasury.ask()
    with reverts("StillPending", bench.request_id(request)):
        treasury.ask()
    bench.post(request, image=input, output=share(0.9))
    with reverts("StillPending", bench.request_id(request)):
        treasury.ask()


def test_ask_again_after_a_refund_and_after_no_provable_answer(treasury: Treasury) -> None:
    bench = treasury.bench
    request, input = treasury.ask()
    bench.expire(request)
    before = bench.chain.balance(bench.requester)
    bench.chain.send(bench.refunding(request), sender=bench.stranger)
    assert bench.chain.balance(bench.requester) - before == VALUE
    assert bench.status(request)[0] == REFUNDED
    request, input = treasury.ask()
    bench.post(request, image=input, output=UNANSWERABLE)
    bench.wait(WINDOW + 1)
    bench.post(request, image=input, output=UNANSWERABLE)
    assert bench.status(request)[0] == RETRACTED
    with reverts("NothingToDo", 0):
        treasury.rebalance()
    assert treasury.finalise(*treasury.ask(), share(0.9))


def test_fulfil_earlier_request_is_not_taken(treasury: Treasury) -> None:
    bench = treasury.bench
    first, input = treasury.ask()
    assert not treasury.finalise(first, input, bytes(20)), "another model's output"
    treasury.ask()
    with reverts("NotTheLatest", bench.request_id(first)):
        function = treasury.vault.functions.onInference(bench.request_id(first), FINAL, share(0.9))
        bench.chain.call(function, sender=bench.oracle.address)


def test_funds_are_the_owners_alone(treasury: Treasury) -> None:
    chain, vault = treasury.bench.chain, treasury.vault
    for function in (
        vault.functions.invest(0, 0),
        vault.functions.divest(0, 1),
        vault.functions.withdraw(0),
    ):
        with reverts("OnlyOwner", chain.accounts[0], treasury.bench.stranger):
            chain.send(function, sender=treasury.bench.stranger)
    chain.send(vault.functions.divest(0, 6 * ETHER))
    before = chain.balance(vault.address)
    chain.send(vault.functions.withdraw(6 * ETHER))
    assert before - chain.balance(vault.address) == 6 * ETHER


def test_exponent_that_leaves_int16_is_refused(bench: Bench) -> None:
    with reverts("WrongExponent", 14, 15):
        Treasury.make(bench, bench.model_id, (15, 14))


def test_callback_gas_is_enough(treasury: Treasury) -> None:
    bench = treasury.bench
    request, _ = treasury.ask()
    function = treasury.vault.functions.onInference(bench.request_id(request), FINAL, share(0.9))
    data = {"to": treasury.vault.address, "data": function._encode_transaction_data()}
    needed = bench.chain.web3.eth.estimate_gas({"from": bench.oracle.address, **data})
    assert needed - 21_000 < 0.75 * request.callback_gas


def test_wrong_answer_is_refuted_by_a_real_proof_and_its_stake_pays_the_vault(
    chain: Chain,
) -> None:
    deployment = Deployment.make(chain, srs_of(None, 12))
    session = registered(deployment, allocation)
    bench = Bench(chain, registry=deployment.registry, verifier=deployment.verifier)
    bench.stake()
    scale = session.model.quantizer
    treasury = Treasury.make(bench, session.model.id, (scale.input.exponent, scale.output.exponent))
    request, input = treasury.ask()
    output = answer_of(session, input)
    aim = int.from_bytes(output, "big", signed=True) / 2**scale.output.exponent
    assert abs(aim - (0.1 + 0.8 / (1 + 2.718**-0.4))) < 0.08, "it has learned its policy"

    assert treasury.finalise(request, input, output), "an honest answer, undisputed"
    treasury.rebalance()
    first, second = treasury.holds()
    assert first - 6 * ETHER == min(round(12 * ETHER * (int(aim * 10_000) / 10_000 - 0.5)),
                                    6 * ETHER // 10)  # fmt: skip
    assert first + second == 12 * ETHER

    request, input = treasury.ask()
    right, wrong = answer_of(session, input), bytes(2)
    bench.post(request, image=input, output=wrong)
    evidence = naming(bench.operator, wrong)
    evidence += proof_of(bench, session, request, bench.challenger, input)
    bench.prove(request, payee=bench.challenger, image=input, output=right, proof=evidence)
    assert bench.status(request) == (FINAL, bench.digest(bench.challenger, right), False)
    assert bench.owed(treasury.vault.address) == COVERAGE
    before = chain.balance(treasury.vault.address)
    chain.send(bench.vault.functions.withdrawFor(treasury.vault.address), sender=bench.stranger)
    assert chain.balance(treasury.vault.address) - before == COVERAGE * GWEI
    treasury.rebalance()
    assert treasury.holds()[0] > first or aim < 0.55
