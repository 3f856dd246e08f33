"""StakeVault: what owners may take, what tiers may lock and slash, and nobody else anything."""

import pytest
from eth_hash.auto import keccak

from tests.contracts.bench import DAY, ETHER, GWEI, HOUR, Bench
from tests.contracts.desk import BOMB, BURN, REENTER, REVERT, ZERO
from tests.evm import reverts

ID, OTHER = keccak(b"claim"), keccak(b"another claim")
STAKE = 10 * ETHER // GWEI  # what the operator of a bench starts with, in gwei


def lock(
    bench: Bench, id: bytes = ID, amount: int = 1000, load: int = 60, most: int = 5400
) -> None:
    bench.chain.send(bench.locker.functions.lock(id, bench.operator, amount, load, most))


def slash(bench: Bench, id: bytes = ID, compensation: int = 400, reward: int = 150) -> None:
    bench.chain.send(
        bench.locker.functions.slash(id, bench.stranger, compensation, bench.challenger, reward)
    )


def queue(bench: Bench, amount: int) -> None:
    bench.chain.send(bench.vault.functions.queueWithdrawal(amount), sender=bench.operator)


def leave(bench: Bench, to: str = "") -> None:
    bench.chain.send(bench.vault.functions.leave(to or bench.rival), sender=bench.operator)


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
        ("lock", ID, ZERO, 1, 1, 1),
        ("contest", ID),
        ("release", ID),
        ("slash", ID, ZERO, 0, ZERO, 0),
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
    word, suspended = bench.chain.call(bench.vault.functions.lockOf(bench.locker.address, ID))
    assert word >> 96 == int(bench.operator, 16) and suspended is False
    assert (word >> 48) % 2**48 == 1000 and (word >> 16) % 2**32 == bench.chain.now()
    assert word % 2**16 == 60 << 1


def test_lock_above_free_stake_is_refused(bench: Bench) -> None:
    lock(bench, amount=STAKE - 5)
    with reverts("CoverageAboveFreeStake", 6, 5):
        lock(bench, OTHER, 6)
    lock(bench, OTHER, 5)


def test_lock_of_queued_stake_is_refused(bench: Bench) -> None:
    queue(bench, STAKE - 10)
    with reverts("CoverageAboveFreeStake", 11, 10):
        lock(bench, amount=11)
    queue(bench, 0)
    lock(bench, amount=11)


def test_lock_wider_than_its_field_is_refused(bench: Bench) -> None:
    with reverts("CoverageAboveFreeStake", 2**48, STAKE):
        lock(bench, amount=2**48)
    with reverts("TooMuch", 0x7FFF, 0x8000):
        lock(bench, load=0x8000, most=2**20)


def test_lock_more_proving_than_fits_is_refused(bench: Bench) -> None:
    lock(bench, load=60, most=100)
    with reverts("Overloaded", 100, 101):
        lock(bench, OTHER, load=41, most=100)
    lock(bench, OTHER, load=40, most=100)


def test_lock_same_id_twice_is_refused(bench: Bench) -> None:
    lock(bench)
    with reverts("DuplicateLock", ID):
        lock(bench)


def test_lock_of_one_tier_is_not_anothers(bench: Bench) -> None:
    request = bench.posted()
    with reverts("NoSuchLock", bench.request_id(request)):
        bench.chain.send(bench.locker.functions.release(bench.request_id(request)))
    with reverts("NoSuchLock", bench.request_id(request)):
        slash(bench, bench.request_id(request))


def test_release_frees_all_of_it_once(bench: Bench) -> None:
    lock(bench)
    bench.chain.send(bench.locker.functions.release(ID))
    account = bench.account()
    assert (account["stake"], account["locked"], account["load"]) == (STAKE, 0, 0)
    for again in ("release", "contest"):
        with reverts("NoSuchLock", ID):
            bench.chain.send(bench.locker.functions[again](ID))


# --- slashes --------------------------------------------------------------------------------------


def test_slash_divides_one_lock_and_touches_no_other(bench: Bench) -> None:
    lock(bench)
    lock(bench, OTHER, 777)
    slash(bench)
    assert (bench.owed(bench.stranger), bench.owed(bench.challenger)) == (400, 150)
    assert bench.burned() == 1000 - 400 - 150
    account = bench.account()
    assert (account["stake"], account["locked"], account["load"]) == (STAKE - 1000, 777, 60)
    assert account["suspended"]
    with reverts("NoSuchLock", ID):
        slash(bench)
    bench.chain.send(bench.locker.functions.release(OTHER))


@pytest.mark.parametrize(
    ("compensation", "reward"), [(425, 151), (501, 0), (0, 1001), (2**256 - 1, 2), (2, 2**256 - 1)]
)
def test_slash_burning_less_than_the_compensation_is_refused(
    bench: Bench, compensation: int, reward: int
) -> None:
    lock(bench)
    with reverts("WrongSplit", 1000, compensation, reward):
        slash(bench, ID, compensation, reward)


def test_slash_suspends_from_further_locks(bench: Bench) -> None:
    lock(bench)
    slash(bench)
    with reverts("Suspended", bench.operator):
        lock(bench, OTHER)


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
    bench.chain.send(bench.locker.functions.release(ID))
    leave(bench)


def test_leave_of_queued_stake_that_was_slashed_pays_the_rest(bench: Bench) -> None:
    """Withdrawing before the dispute helps nobody: what is queued still backs the claim."""
    lock(bench, amount=STAKE - 3)
    queue(bench, STAKE)
    slash(bench, ID, 1, 1)
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
    bench.chain.send(
        bench.locker.functions.slash(ID, consumer, amount, bench.challenger, 1000 - 2 * amount)
    )


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
    """The widest values of every field of the lock, and what comes back of them."""
    bench.chain.set_balance(bench.operator, 400_000 * ETHER)
    bench.stake(2**48 * GWEI)
    lock(bench, amount=2**48 - 1, load=0x7FFF, most=2**20)
    bench.chain.send(bench.locker.functions.contest(ID))
    word, _ = bench.chain.call(bench.vault.functions.lockOf(bench.locker.address, ID))
    assert word >> 96 == int(bench.operator, 16)
    assert (word >> 48) % 2**48 == 2**48 - 1
    assert word % 2**16 == 0xFFFF
    bench.wait(HOUR)
    slash(bench, ID, 2**46, 0)
    assert bench.burned() == 2**48 - 1 - 2**46
