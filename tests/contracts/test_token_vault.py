"""TokenVault: what arrives is staked and what is owed goes out, whatever the token does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eth_hash.auto import keccak
from web3.contract import Contract

from tests.contracts.bench import DAY, ETHER, GWEI, created
from tests.contracts.desk import HARNESS, ZERO
from tests.evm import Chain, Reverted, reverts

PLAIN, MUTE, FALSE, FEE, BONUS, REENTER, REVERT, BURN, BOMB = range(9)
ID = keccak(b"claim")
UNIT = GWEI


class Till:
    """A token, a vault of it, a tier that locks what anyone says, and an owner with 100 coins."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.owner, self.consumer, self.prover = chain.accounts[1:4]
        deployer = chain.accounts[0]
        self.token = chain.deploy(f"{HARNESS}/Token.sol")
        nonce = chain.web3.eth.get_transaction_count(deployer)
        tiers = [created(deployer, nonce + 1), ZERO, ZERO, ZERO]
        self.vault = chain.deploy(
            "contracts/assurance/TokenVault.sol", tiers, self.token.address, UNIT
        )
        self.locker = chain.deploy(f"{HARNESS}/Locker.sol", self.vault.address)
        chain.send(self.token.functions.mint(self.owner, 100 * ETHER))
        chain.send(self.token.functions.approve(self.vault.address, 2**256 - 1), sender=self.owner)

    def behave(self, manner: int, target: str = ZERO, data: str = "0x") -> None:
        self.chain.send(self.token.functions.behave(manner, target, data))

    def stake(self, value: int) -> None:
        self.chain.send(self.vault.functions.stake(value), sender=self.owner)

    def staked(self) -> int:
        return int(self.chain.call(self.vault.functions.accountOf(self.owner))[0])

    def balance(self, account: str) -> int:
        return int(self.chain.call(self.token.functions.balanceOf(account)))

    def slash(self, amount: int, compensation: int, reward: int, challenger: str = "") -> None:
        self.chain.send(self.locker.functions.lock(self.owner, self.owner, amount, 0, 0))
        paid = (compensation, challenger or self.prover, reward)
        division = (ID, self.owner, amount, 0, self.consumer, *paid)
        self.chain.send(self.locker.functions.slash(division))


@pytest.fixture
def till(chain: Chain) -> Iterator[Till]:
    yield Till(chain)


@pytest.mark.parametrize("manner", [PLAIN, MUTE])
def test_stake_what_arrives_is_staked(till: Till, manner: int) -> None:
    till.behave(manner)
    till.stake(10 * ETHER)
    till.stake(ETHER)
    assert till.staked() == 11 * ETHER // UNIT
    assert till.balance(till.vault.address) == 11 * ETHER


def test_stake_of_a_token_with_a_fee_counts_what_arrived(till: Till) -> None:
    till.behave(FEE)
    till.stake(10 * ETHER)
    assert till.staked() == 99 * ETHER // 10 // UNIT
    assert till.balance(till.vault.address) == 99 * ETHER // 10


def test_stake_that_brings_more_than_was_sent_is_refused(till: Till) -> None:
    till.behave(BONUS)
    with reverts("WrongTransfer", ETHER, ETHER + ETHER // 100):
        till.stake(ETHER)


def test_stake_less_than_a_unit_stays_nobodys(till: Till) -> None:
    till.stake(ETHER + UNIT - 1)
    assert till.staked() == ETHER // UNIT
    with reverts("WrongStake", 0):
        till.stake(UNIT - 1)


def test_stake_that_the_token_refuses_is_refused(till: Till) -> None:
    till.behave(FALSE)
    with reverts("SafeERC20FailedOperation", till.token.address):
        till.stake(ETHER)
    till.behave(PLAIN)
    with pytest.raises(Reverted):
        till.stake(101 * ETHER)
    assert till.staked() == 0


def test_stake_that_the_token_reenters_counts_once(till: Till) -> None:
    """Else the inner deposit would be counted by both."""
    token = till.token.functions
    inner = till.vault.functions.stake(ETHER)._encode_transaction_data()
    till.chain.send(token.mint(till.token.address, 10 * ETHER))
    till.behave(REENTER, till.vault.address, inner)
    till.stake(ETHER)
    assert till.chain.call(token.replied()) is False
    assert till.staked() == ETHER // UNIT
    assert till.balance(till.vault.address) == ETHER


def test_stake_after_the_token_shrank_is_refused(till: Till) -> None:
    """A rebasing token: nobody's new stake fills the hole."""
    till.stake(10 * ETHER)
    till.chain.send(till.token.functions.shrink(till.vault.address, 1))
    with reverts("Shrunk", 10 * ETHER, 10 * ETHER - 1):
        till.stake(ETHER)


def test_slash_pays_and_burns_in_the_token(till: Till) -> None:
    till.stake(10 * ETHER)
    till.slash(10**9, 4 * 10**8, 10**8)
    vault = till.vault.functions
    till.chain.send(vault.withdrawFor(till.consumer))
    till.chain.send(vault.withdraw(till.consumer), sender=till.prover)
    assert till.balance(till.consumer) == 5 * 10**8 * UNIT
    assert till.chain.call(vault.burned()) == 5 * 10**8
    assert till.staked() == 10 * ETHER // UNIT - 10**9
    assert till.balance(till.vault.address) == 10 * ETHER - 5 * 10**8 * UNIT


def test_withdraw_for_a_tier_is_refused(till: Till) -> None:
    """Its credit is the rewards that wait for `award`: in the tier's own hands nobody could move
    them, and the next reward would be paid out of another's."""
    till.stake(10 * ETHER)
    till.slash(10**9, 4 * 10**8, 10**8, challenger=till.locker.address)
    with reverts("IsATier", till.locker.address):
        till.chain.send(till.vault.functions.withdrawFor(till.locker.address))
    assert till.chain.call(till.vault.functions.credit(till.locker.address)) == 10**8
    assert till.balance(till.locker.address) == 0


def test_leave_pays_in_the_token(till: Till) -> None:
    till.stake(10 * ETHER)
    till.chain.send(till.vault.functions.queueWithdrawal(10**9), sender=till.owner)
    till.chain.next_timestamp(till.chain.now() + 14 * DAY)
    till.chain.send(till.vault.functions.leave(till.consumer), sender=till.owner)
    assert till.balance(till.consumer) == ETHER
    assert till.balance(till.vault.address) == 9 * ETHER


def credited(till: Till) -> Contract:
    till.stake(10 * ETHER)
    till.slash(10**9, 4 * 10**8, 10**8)
    return till.vault


@pytest.mark.parametrize("manner", [FALSE, REENTER])
def test_withdraw_that_the_token_spoils_pays_once_or_not_at_all(till: Till, manner: int) -> None:
    vault = credited(till)
    again = vault.functions.withdrawFor(till.prover)._encode_transaction_data()
    till.behave(manner, vault.address, again)
    if manner == FALSE:
        with reverts("SafeERC20FailedOperation"):
            till.chain.send(vault.functions.withdrawFor(till.consumer))
        assert till.chain.call(vault.functions.credit(till.consumer)) == 4 * 10**8
        return
    till.chain.send(vault.functions.withdrawFor(till.consumer))
    assert till.chain.call(till.token.functions.replied()) is False
    assert till.balance(till.consumer) == 4 * 10**8 * UNIT
    assert till.chain.call(vault.functions.credit(till.prover)) == 10**8


@pytest.mark.parametrize("manner", [REVERT, BURN, BOMB], ids=["reverts", "burns gas", "bombs"])
def test_token_that_misbehaves_holds_up_no_slash_and_loses_nobody_anything(
    till: Till, manner: int
) -> None:
    """Claims are settled in the vault's books; the token is called by who puts in or takes out."""
    till.stake(10 * ETHER)
    till.behave(manner)
    till.slash(10**9, 4 * 10**8, 10**8)
    vault = till.vault.functions
    assert till.staked() == 10 * ETHER // UNIT - 10**9
    with pytest.raises(Reverted):
        till.stake(ETHER)
    with pytest.raises(Reverted):
        till.chain.send(vault.withdrawFor(till.consumer), gas=3_000_000)
    assert till.chain.call(vault.credit(till.consumer)) == 4 * 10**8
    till.behave(PLAIN)
    till.chain.send(vault.withdrawFor(till.consumer))
    assert till.balance(till.consumer) == 4 * 10**8 * UNIT
    assert till.staked() == 10 * ETHER // UNIT - 10**9


def test_withdraw_of_a_token_with_a_fee_costs_the_recipient(till: Till) -> None:
    vault = credited(till)
    till.behave(FEE)
    before = till.balance(vault.address)
    till.chain.send(vault.functions.withdrawFor(till.consumer))
    assert before - till.balance(vault.address) == 4 * 10**8 * UNIT
    assert till.balance(till.consumer) == 4 * 10**8 * UNIT * 99 // 100


@pytest.mark.parametrize(("token", "unit"), [(False, UNIT), (True, 0)])
def test_constructor_without_token_or_unit_is_refused(till: Till, token: bool, unit: int) -> None:
    address = till.token.address if token else till.owner
    with reverts("ZeroAddress"):
        till.chain.deploy("contracts/assurance/TokenVault.sol", 4 * [ZERO], address, unit)


def test_stake_in_ether_is_refused(till: Till) -> None:
    with reverts(""):
        till.chain.pay(till.vault.address, ETHER, sender=till.owner)
