"""What a summons costs: a part for each place, earned by who reveals, the rest given back; each wei
once, whatever becomes of the request."""

from __future__ import annotations

from typing import Any

import pytest
from eth_hash.auto import keccak

from tests.contracts.bench import DAY, ETHER, GWEI
from tests.contracts.council import FINE, GRACE, PART, PLACES, START, TRACE, WINDOW, Council
from tests.contracts.desk import FINAL, IMAGE, LOGITS, REENTER, REFUNDED, REVERT, Request
from tests.evm import reverts

TODAY = START // DAY
BOND = PLACES * PART
PURSE = "0x" + "77" * 20  # nobody sends from there


def summoned(council: Council, **fields: Any) -> Request:
    request = council.request(**fields)
    council.ask(request)
    council.summon(request)
    return request


def commit(council: Council, request: Request, members: bytes, places: Any) -> None:
    for place in places:
        member = council.member(members, place)
        word = council.commitment(member, keccak(bytes([place])))
        council.tell("commit", council.request_id(request), members, place, word, sender=member)


def reveal(council: Council, request: Request, members: bytes, place: int) -> None:
    """By a stranger: who is paid is the member all the same."""
    claim = (council.payee, keccak(LOGITS), TRACE, keccak(bytes([place])))
    council.tell("reveal", council.request_id(request), members, place, *claim)


def spoken(council: Council, request: Request, members: bytes, places: Any) -> None:
    commit(council, request, members, places)
    council.wait(GRACE + 1)
    for place in places:
        reveal(council, request, members, place)


def credit(council: Council, account: str) -> int:
    return int(council.chain.call(council.council.functions.credit(account)))


def held(council: Council) -> int:
    return council.chain.balance(council.council.address)


def owners(council: Council, members: bytes) -> list[str]:
    return [council.member(members, place) for place in range(PLACES)]


# --- paid in --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 1, BOND - 1, BOND + 1, 2 * BOND])
def test_summon_takes_just_the_bond(council: Council, value: int) -> None:
    """A quarter of the fine for each place."""
    assert council.chain.call(council.council.functions.summonsBond()) == BOND
    assert BOND == PLACES * FINE * GWEI // 4
    request = council.request()
    council.ask(request)
    function = council.council.functions.summon(request.fields)
    with reverts("WrongBond", BOND, value):
        council.chain.send(function, sender=council.requester, value=value)
    assert held(council) == 0


def test_summon_that_is_refused_keeps_nothing(council: Council) -> None:
    request = council.request(deadline=council.chain.now() + GRACE)
    council.ask(request)
    with reverts("TooLate"):
        council.summon(request)
    assert held(council) == 0


def test_tier_takes_no_other_ether(council: Council) -> None:
    with reverts(""):
        council.chain.pay(council.council.address, 1)


# --- shared ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [(), (3,), (0, 2, 4, 6), range(PLACES)])
def test_bond_is_theirs_who_revealed_and_the_rest_returns(
    council: Council, members: bytes, places: Any
) -> None:
    """An owner of two places has two parts. In the end the tier holds nothing."""
    request = summoned(council)
    spoken(council, request, members, places)
    earned = dict.fromkeys(owners(council, members), 0)
    for place in places:
        earned[council.member(members, place)] += PART
    assert {owner: credit(council, owner) for owner in earned} == earned
    council.wait(2 * GRACE + 1)
    left = BOND - len(places) * PART
    if left:
        council.tell("reclaim", request.fields)
    assert credit(council, council.requester) == left
    assert held(council) == BOND == left + sum(earned.values())
    for account, due in {**earned, council.requester: left}.items():
        if not due:
            continue
        before = council.chain.balance(PURSE)
        receipt = council.tell("withdraw", PURSE, sender=account)
        (event,) = council.council.events.Withdrawn().process_receipt(receipt)
        assert (event["args"]["account"], event["args"]["amount"]) == (account, due)
        assert council.chain.balance(PURSE) - before == due
    assert held(council) == 0


def test_each_part_is_had_once(council: Council, members: bytes) -> None:
    request, other = summoned(council), summoned(council, nonce=1)
    commit(council, request, members, (0, 1))
    council.wait(GRACE + 1)
    reveal(council, request, members, 0)
    with reverts("NothingLeft"):
        reveal(council, request, members, 0)
    with reverts("TooEarly"):
        council.tell("reclaim", request.fields)
    council.wait(2 * GRACE)
    with reverts("TooLate"):  # what is reclaimed nobody earns any more
        reveal(council, request, members, 1)
    council.tell("reclaim", request.fields)
    with reverts("NothingLeft"):
        council.tell("reclaim", request.fields)
    assert credit(council, council.requester) == BOND - PART
    member = council.member(members, 0)
    council.tell("withdraw", member, sender=member)
    with reverts("NothingToWithdraw", member):
        council.tell("withdraw", member, sender=member)
    council.tell("withdraw", council.requester, sender=council.requester)
    assert held(council) == BOND  # the other request's, untouched
    council.tell("reclaim", other.fields)
    assert credit(council, council.requester) == BOND


def test_reclaim_in_the_last_second_to_reveal_is_refused(council: Council, members: bytes) -> None:
    request = summoned(council)
    commit(council, request, members, (0,))
    until = council.chain.call(council.council.functions.summonsOf(council.request_id(request)))[2]
    council.chain.next_timestamp(until)
    with reverts("TooEarly", until):
        council.tell("reclaim", request.fields)
    snapshot = council.chain.snapshot()
    council.chain.next_timestamp(until + 1)
    council.tell("reclaim", request.fields)
    assert credit(council, council.requester) == BOND
    council.chain.restore(snapshot)


def test_reclaim_of_what_was_not_summoned_is_refused(council: Council) -> None:
    """Nor in another's name: the id is of all that a request says."""
    request = summoned(council)
    never = council.request(nonce=7)
    council.ask(never)
    council.wait(2 * GRACE + 1)
    for fields in (never.fields, (council.stranger, *request.fields[1:])):
        with reverts("NothingLeft"):
            council.tell("reclaim", fields)
    assert credit(council, council.stranger) == 0


# --- whatever becomes of the request --------------------------------------------------------------


def test_answered_off_chain_the_bond_goes_its_way(council: Council, members: bytes) -> None:
    """Who had committed on-chain by then reveals, and has earned its part; nobody is fined."""
    request = summoned(council)
    commit(council, request, members, (6,))
    council.agree(request, members)
    council.wait(GRACE + 1)
    reveal(council, request, members, 6)
    council.wait(WINDOW + 1)
    council.settle(request)
    assert council.status(request)[0] == FINAL
    council.tell("reclaim", request.fields)
    assert credit(council, council.member(members, 6)) == PART
    assert credit(council, council.requester) == BOND - PART
    assert council.burned() == 0


def test_refunded_the_bond_goes_its_way_and_who_was_silent_pays_besides(
    council: Council, members: bytes
) -> None:
    request = summoned(council, deadline=council.chain.now() + 4 * GRACE)
    spoken(council, request, members, (0, 1))
    council.wait(4 * GRACE)
    council.chain.send(council.oracle.functions.refund(request.fields))
    assert council.status(request)[0] == REFUNDED
    id = council.request_id(request)
    for place in range(2, PLACES):
        council.tell("fineAbsent", id, members, place)
    assert council.burned() == (PLACES - 2) * FINE
    council.tell("reclaim", request.fields)
    assert credit(council, council.requester) == BOND - 2 * PART


def test_withdraw_to_who_takes_nothing_is_refused_and_loses_nothing(
    council: Council, members: bytes
) -> None:
    request = summoned(council)
    spoken(council, request, members, (0,))
    member, refuses = council.member(members, 0), council.oracle.address
    with reverts("TransferFailed", refuses, PART):
        council.tell("withdraw", refuses, sender=member)
    with reverts("ZeroAddress"):
        council.tell("withdraw", "0x" + "00" * 20, sender=member)
    assert credit(council, member) == PART
    council.tell("withdraw", member, sender=member)


def test_withdraw_by_a_contract_that_reenters_or_reverts(council: Council) -> None:
    """It is paid once, though the tier holds another's bond; what it refuses stays its own."""
    chain, tier = council.chain, council.council
    puppet = council.puppet()
    chain.set_balance(puppet.address, ETHER)
    chain.rpc("anvil_impersonateAccount", puppet.address)
    request = council.request(requester=puppet.address)
    asking = council.oracle.functions.request(request.fields, IMAGE)
    chain.send(asking, sender=puppet.address, value=request.cost)
    chain.send(tier.functions.summon(request.fields), sender=puppet.address, value=BOND)
    council.wait(2 * GRACE + 1)
    council.tell("reclaim", request.fields)
    summoned(council, nonce=1)
    away = puppet.functions.withdraw(tier.address, puppet.address)
    chain.send(puppet.functions.behave(REVERT, tier.address, b""))
    with reverts("TransferFailed", puppet.address, BOND):
        chain.send(away)
    again = tier.functions.withdraw(puppet.address)._encode_transaction_data()
    chain.send(puppet.functions.behave(REENTER, tier.address, again))
    before = chain.balance(puppet.address)
    chain.send(away)
    assert chain.balance(puppet.address) - before == BOND == held(council)
    assert chain.call(puppet.functions.replied()) is False
    assert credit(council, puppet.address) == 0


def test_summon_for_nothing_costs_who_asks_and_not_who_comes(
    council: Council, members: bytes
) -> None:
    """A requester that will not be answered calls the committee for nothing: what it pays covers
    two transactions of each member, at 17 gwei a gas and seats of an ether."""
    request = summoned(council)
    member = council.member(members, 0)
    word = council.commitment(member, keccak(bytes([0])))
    id = council.request_id(request)
    gas = council.tell("commit", id, members, 0, word, sender=member)["gasUsed"]
    council.wait(GRACE + 1)
    claim = (council.payee, keccak(LOGITS), TRACE, keccak(bytes([0])))
    gas += council.tell("reveal", id, members, 0, *claim, sender=member)["gasUsed"]
    default = ETHER // 100 // 4  # scripts/deploy.py: a fine of a hundredth of an ether
    assert gas * 17 * GWEI < default
