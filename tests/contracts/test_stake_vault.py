"""StakeVault: what owners may take, what tiers may lock and slash, and nobody else anything."""

import pytest
from eth_hash.auto import keccak

from tests.contracts.bench import DAY, ETHER, GWEI, HOUR, Bench
from tests.contracts.desk import BOMB, BURN, REENTER, REVERT, ZERO
from tests.evm import reverts

ID = keccak(b"claim")
STAKE = 10 * ETHER // GWEI  # what the operator of a bench starts with, in gwei


def lock(
    bench: Bench, amount: int = 1000, load: int = 60, most: int = 5400, agent: str = ""
) -> None:
    agent = agent or bench.operator
    bench.chain.send(bench.locker.functions.lock(bench.operator, agent, amount, load, most))


def release(bench: Bench, amount: int = 1000, load: int = 60) -> None:
    bench.chain.send(bench.locker.functions.release(bench.operator, amount, load))


def slash(
    bench: Bench,
    compensation: int = 400,
    reward: int = 150,
    *,
    amount: int = 1000,
    load: int = 60,
    consumer: str = "",
) -> None:
    consumer = consumer or bench.stranger
    division = (ID, bench.operator, amount, load, consumer, compensation, bench.challenger, reward)
    bench.chain.send(bench.locker.functions.slash(division))


def queue(bench: Bench, amount: int) -> None:
    bench.chain.send(bench.vault.functions.queueWithdrawal(amount), sender=bench.operator)


def leave(bench: Bench, to: str = "") -> None:
    bench.chain.send(bench.vault.functions.leave(to or bench.rival), sender=bench.operator)


def test_constructor_more_tiers_than_it_serves_is_refused(bench: Bench) -> None:
    six = bench.chain.accounts[:6]
    vault = bench.chain.deploy("contracts/assurance/StakeVault.sol", six)
    assert all(bench.chain.call(vault.functions.isTier(tier)) for tier in six)
    assert not bench.chain.call(vault.functions.isTier(bench.chain.accounts[6]))
    with reverts("TooManyTiers", 6, 7):
        bench.chain.deploy("contracts/assurance/StakeVault.sol", bench.chain.accounts[:7])


def test_stake_whole_gwei_is_added(bench: Bench) -> None:
    bench.stake(5 * GWEI)
    assert bench.account()["stake"] == STAKE + 5
    assert bench.chain.balance(bench.vault.address) == 10 * ETHER + 5 * GWEI


@pytest.mark.parametrize("value", [0, 1, GWEI - 1, GWEI + 1])
def test_stake_fraction_of_a_gwei_is_refused(bench: Bench, value: int) -> None:
    with reverts("WrongStake", value):
        bench.stake(value)


def test_stake_without_the_function_is_refused(bench: Bench) -> None:
    with reverts(""):
        bench.chain.pay(bench.vault.address, GWEI)


# --- locks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "move",
    [
        ("lock", ZERO, ZERO, 1, 1, 1),
        ("release", ZERO, 1, 1),
        ("slash", (ID, ZERO, 1, 1, ZERO, 0, ZERO, 0)),
        ("fine", ID, ZERO, 1),
        ("forfeit", ZERO),
    ],
)
def test_lock_by_a_stranger_is_refused(bench: Bench, move: tuple[object, ...]) -> None:
    name, *arguments = move
    with reverts("NotATier", bench.stranger):
        bench.chain.send(bench.vault.functions[name](*arguments), sender=bench.stranger)


def test_lock_tiers_are_those_of_the_constructor(bench: Bench) -> None:
    for account, named in [
        (bench.optimistic.address, True),
        (bench.locker.address, True),
        (bench.stranger, False),
        (bench.vault.address, False),
        (ZERO, False),
    ]:
        assert bench.chain.call(bench.vault.functions.isTier(account)) is named


def test_lock_free_stake_is_ring_fenced(bench: Bench) -> None:
    lock(bench)
    account = bench.account()
    assert (account["stake"], account["locked"], account["load"]) == (STAKE, 1000, 60)
    assert bench.chain.call(bench.vault.functions.freeOf(bench.operator)) == STAKE - 1000


def test_lock_by_another_than_owner_or_agent_is_refused(bench: Bench) -> None:
    """Nobody puts another's stake at risk; an agent does as long as it is appointed."""
    with reverts("NotItsAgent", bench.operator, bench.rival):
        lock(bench, agent=bench.rival)
    bench.chain.send(bench.vault.functions.appoint(bench.rival), sender=bench.operator)
    lock(bench, agent=bench.rival)
    bench.chain.send(bench.vault.functions.appoint(ZERO), sender=bench.operator)
    with reverts("NotItsAgent", bench.operator, bench.rival):
        lock(bench, agent=bench.rival)


def test_lock_above_free_stake_is_refused(bench: Bench) -> None:
    lock(bench, amount=STAKE - 5)
    with reverts("CoverageAboveFreeStake", 6, 5):
        lock(bench, 6)
    lock(bench, 5)


def test_lock_of_queued_stake_is_refused(bench: Bench) -> None:
    queue(bench, STAKE - 10)
    with reverts("CoverageAboveFreeStake", 11, 10):
        lock(bench, amount=11)
    queue(bench, 0)
    lock(bench, amount=11)


@pytest.mark.parametrize("amount", [2**48, 2**64, 2**256 - 1])
def test_lock_wider_than_its_field_is_refused(bench: Bench, amount: int) -> None:
    with reverts("CoverageAboveFreeStake", amount, STAKE):
        lock(bench, amount=amount)
    with reverts("TooMuch", 2**24 - 1, amount):
        lock(bench, load=amount, most=2**256 - 1)
    lock(bench, 0, load=2**24 - 1, most=2**256 - 1)
    with reverts("Overloaded"):
        lock(bench, 0, load=1, most=2**256 - 1)


def test_lock_more_proving_than_fits_is_refused(bench: Bench) -> None:
    lock(bench, load=60, most=100)
    with reverts("Overloaded", 100, 101):
        lock(bench, load=41, most=100)
    lock(bench, load=40, most=100)


def test_release_frees_all_of_it_once(bench: Bench) -> None:
    lock(bench)
    release(bench)
    account = bench.account()
    assert (account["stake"], account["locked"], account["load"]) == (STAKE, 0, 0)
    with reverts("NoSuchLock", 0, 1000):
        release(bench)


@pytest.mark.parametrize(("amount", "load"), [(1001, 60), (1000, 61), (2**256 - 1, 0), (0, 2**64)])
def test_release_of_more_than_is_locked_is_refused(bench: Bench, amount: int, load: int) -> None:
    lock(bench)
    with reverts("NoSuchLock"):
        release(bench, amount, load)
    if amount:
        with reverts("NoSuchLock"):
            slash(bench, 0, 0, amount=amount, load=load)


# --- slashes --------------------------------------------------------------------------------------


def test_slash_divides_one_lock_and_touches_no_other(bench: Bench) -> None:
    lock(bench)
    lock(bench, 777)
    slash(bench)
    assert (bench.owed(bench.stranger), bench.owed(bench.challenger)) == (400, 150)
    assert bench.burned() == 1000 - 400 - 150
    account = bench.account()
    assert (account["stake"], account["locked"], account["load"]) == (STAKE - 1000, 777, 60)
    assert account["suspended"]
    with reverts("NoSuchLock", 777, 1000):
        slash(bench)
    release(bench, 777)
    assert bench.account()["stake"] == STAKE - 1000


@pytest.mark.parametrize(
    ("compensation", "reward"), [(425, 151), (501, 0), (0, 1001), (2**256 - 1, 2), (2, 2**256 - 1)]
)
def test_slash_burning_less_than_the_compensation_is_refused(
    bench: Bench, compensation: int, reward: int
) -> None:
    lock(bench)
    with reverts("WrongSplit", 1000, compensation, reward):
        slash(bench, compensation, reward)


def test_slash_suspends_from_further_locks(bench: Bench) -> None:
    lock(bench)
    slash(bench)
    with reverts("Suspended", bench.operator):
        lock(bench)


def test_fine_burns_a_lock_and_suspends_nobody(bench: Bench) -> None:
    lock(bench)
    bench.chain.send(bench.locker.functions.fine(ID, bench.operator, 300))
    account = bench.account()
    assert (account["stake"], account["locked"], account["load"]) == (STAKE - 300, 700, 60)
    assert bench.burned() == 300 and not account["suspended"]
    with reverts("NoSuchLock", 700, 701):
        bench.chain.send(bench.locker.functions.fine(ID, bench.operator, 701))


def test_forfeit_burns_what_is_free_and_what_gets_free(bench: Bench) -> None:
    """A failed audit costs the whole stake; what other claims are covered with is still paid."""
    lock(bench)
    lock(bench, 700)
    queue(bench, 5000)
    bench.chain.send(bench.locker.functions.forfeit(bench.operator))
    account = bench.account()
    assert (account["stake"], account["locked"], account["suspended"]) == (1700, 1700, True)
    assert bench.burned() == STAKE - 1700
    release(bench, 700)
    assert (bench.account()["stake"], bench.burned()) == (1000, STAKE - 1000)
    slash(bench)
    assert (bench.account()["stake"], bench.owed(bench.stranger)) == (0, 400)
    assert bench.burned() == STAKE - 400 - 150
    bench.wait(14 * DAY)
    with reverts("NothingToWithdraw", bench.operator):
        leave(bench)
    with reverts("Suspended", bench.operator):
        lock(bench, 0)


# --- withdrawals ----------------------------------------------------------------------------------


def test_leave_after_the_queue_pays(bench: Bench) -> None:
    queue(bench, 100)
    bench.wait(14 * DAY)
    before = bench.chain.balance(bench.rival)
    leave(bench)
    assert bench.chain.balance(bench.rival) - before == 100 * GWEI
    assert bench.account()["stake"] == STAKE - 100
    with reverts("NothingToWithdraw", bench.operator):
        leave(bench)


def test_leave_before_its_time_is_refused(bench: Bench) -> None:
    queue(bench, 100)
    ready = bench.chain.now() + 14 * DAY
    bench.chain.next_timestamp(ready - 1)
    with reverts("NotReady", ready, ready - 1):
        leave(bench)


def test_leave_unqueued_is_refused(bench: Bench) -> None:
    with reverts("NothingToWithdraw", bench.operator):
        leave(bench)
    with reverts("TooMuch", STAKE, STAKE + 1):
        queue(bench, STAKE + 1)


def test_leave_queueing_more_later_starts_the_clock_anew(bench: Bench) -> None:
    queue(bench, 1)
    bench.wait(13 * DAY)
    queue(bench, STAKE)
    bench.wait(DAY)
    with reverts("NotReady"):
        leave(bench)


def test_leave_while_a_claim_is_open_is_refused(bench: Bench) -> None:
    lock(bench, amount=1)
    queue(bench, STAKE - 1)
    bench.wait(14 * DAY)
    with reverts("LocksRemain", 1):
        leave(bench)
    release(bench, 1)
    leave(bench)


def test_leave_of_queued_stake_that_was_slashed_pays_the_rest(bench: Bench) -> None:
    """Withdrawing before the dispute helps nobody: what is queued still backs the claim."""
    lock(bench, amount=STAKE - 3)
    queue(bench, STAKE)
    slash(bench, 1, 1, amount=STAKE - 3)
    bench.wait(14 * DAY)
    before = bench.chain.balance(bench.rival)
    leave(bench)
    assert bench.chain.balance(bench.rival) - before == 3 * GWEI
    assert bench.account()["stake"] == 0


def test_leave_to_one_who_refuses_keeps_the_stake(bench: Bench) -> None:
    puppet = bench.puppet()
    bench.chain.send(puppet.functions.behave(REVERT, ZERO, b""))
    queue(bench, 100)
    bench.wait(14 * DAY)
    with reverts("TransferFailed", puppet.address, 100 * GWEI):
        leave(bench, puppet.address)
    with reverts("ZeroAddress"):
        leave(bench, ZERO)
    assert bench.account()["stake"] == STAKE


# --- credits --------------------------------------------------------------------------------------


def credited(bench: Bench, consumer: str, amount: int = 400) -> None:
    lock(bench)
    slash(bench, amount, 1000 - 2 * amount, consumer=consumer)


def test_withdraw_credit_is_paid_once(bench: Bench) -> None:
    credited(bench, bench.stranger)
    before = bench.chain.balance(bench.rival)
    bench.chain.send(bench.vault.functions.withdraw(bench.rival), sender=bench.stranger)
    assert bench.chain.balance(bench.rival) - before == 400 * GWEI
    with reverts("NothingToWithdraw", bench.stranger):
        bench.chain.send(bench.vault.functions.withdraw(bench.rival), sender=bench.stranger)


def test_withdraw_for_a_contract_that_cannot_ask_pays_it(bench: Bench) -> None:
    puppet = bench.puppet()
    credited(bench, puppet.address)
    bench.chain.send(bench.vault.functions.withdrawFor(puppet.address), sender=bench.rival)
    assert bench.chain.balance(puppet.address) == 400 * GWEI


@pytest.mark.parametrize("manner", [REVERT, BURN, BOMB])
def test_withdraw_by_one_who_cannot_be_paid_keeps_the_credit(bench: Bench, manner: int) -> None:
    puppet = bench.puppet()
    credited(bench, puppet.address)
    bench.chain.send(puppet.functions.behave(manner, ZERO, b""))
    with reverts("TransferFailed", puppet.address, 400 * GWEI):
        bench.chain.send(bench.vault.functions.withdrawFor(puppet.address), gas=1_000_000)
    assert bench.owed(puppet.address) == 400
    assert bench.owed(bench.challenger) == 200  # and nobody else is held up
    bench.chain.send(bench.vault.functions.withdraw(bench.rival), sender=bench.challenger)


def test_withdraw_reentering_is_paid_once(bench: Bench) -> None:
    puppet = bench.puppet()
    credited(bench, puppet.address)
    again = bench.vault.functions.withdrawFor(puppet.address)._encode_transaction_data()
    bench.chain.send(puppet.functions.behave(REENTER, bench.vault.address, again))
    bench.chain.send(bench.vault.functions.withdrawFor(puppet.address))
    assert bench.chain.call(puppet.functions.replied()) is False
    assert bench.chain.balance(puppet.address) == 400 * GWEI


def test_pay_hands_credit_over(bench: Bench) -> None:
    credited(bench, bench.stranger)
    pay = bench.vault.functions.pay
    bench.chain.send(pay(bench.rival, 150), sender=bench.stranger)
    assert (bench.owed(bench.stranger), bench.owed(bench.rival)) == (250, 150)
    with reverts("TooMuch", 250, 251):
        bench.chain.send(pay(bench.rival, 251), sender=bench.stranger)
    with reverts("ZeroAddress"):
        bench.chain.send(pay(ZERO, 1), sender=bench.stranger)


def test_vault_forced_ether_is_nobodys(bench: Bench) -> None:
    bench.chain.set_balance(bench.vault.address, 99 * ETHER)
    with reverts("NothingToWithdraw", bench.stranger):
        bench.chain.send(bench.vault.functions.withdrawFor(bench.stranger))
    assert bench.account()["stake"] == STAKE


def test_vault_word_fields_do_not_overlap(bench: Bench) -> None:
    """Wide values of every field of an account, and what comes back of them."""
    bench.chain.set_balance(bench.operator, 10**13 * ETHER)
    most = 2**64 - 1
    bench.stake((most - STAKE) * GWEI)
    with reverts("WrongStake"):
        bench.stake(GWEI)
    lock(bench, most, load=2**24 - 1, most=2**24)
    queue(bench, most)
    ready = bench.chain.now() + 14 * DAY
    assert list(bench.account().values()) == [most, most, most, ready, 2**24 - 1, False]
    bench.wait(HOUR)
    slash(bench, 2**62, 0, amount=most, load=2**24 - 1)
    assert bench.burned() == most - 2**62
    assert list(bench.account().values()) == [0, 0, most, ready, 0, True]
