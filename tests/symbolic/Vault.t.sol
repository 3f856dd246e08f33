// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Vault} from "../../contracts/assurance/Vault.sol";
import {IStakeVault} from "../../contracts/interfaces/IStakeVault.sol";
import {VM} from "../invariants/Vm.sol";

/// @notice The vault's books without a coin: what would be sent is counted.
contract Book is Vault {
    uint256 public paid;

    constructor(address[] memory tiers) Vault(tiers, 1) {}

    function stake(uint256 amount) external {
        _stake(amount);
    }

    function _push(address, uint256 value) internal override {
        paid += value;
    }
}

/// @notice For halmos (`make halmos`): for all stakes, queues, locks and amounts, not for some.
/// @dev A call that reverts ends a path; what is asserted holds on all others.
contract VaultProofs {
    address internal constant OWNER = address(0xA11CE);
    address internal constant CONSUMER = address(0xC0);
    address internal constant CHALLENGER = address(0xC4);

    Book internal book;

    function setUp() public {
        address[] memory tiers = new address[](1);
        tiers[0] = address(this);
        book = new Book(tiers);
    }

    function check_release_frees_what_was_locked(
        uint64 stake,
        uint64 queued,
        uint64 locked,
        uint256 amount
    ) public {
        _any(stake, queued, locked);
        book.release(OWNER, amount, 0);
        assert(amount <= locked);
        assert(_account().locked == locked - amount);
        assert(_account().stake == stake);
        _conserved(stake);
    }

    function check_slash_divides_the_lock_whole(
        uint64 stake,
        uint64 queued,
        uint64 locked,
        uint256 amount,
        uint256 compensation,
        uint256 reward
    ) public {
        _any(stake, queued, locked);
        book.slash(_division(amount, compensation, reward));
        assert(amount <= locked);
        assert(_account().stake == stake - amount);
        assert(_account().suspended);
        assert(book.credit(CONSUMER) == compensation);
        assert(book.credit(CHALLENGER) == reward);
        assert(book.burned() >= compensation);
        _conserved(stake);
    }

    function check_fine_takes_from_the_lock(
        uint64 stake,
        uint64 queued,
        uint64 locked,
        uint256 amount
    ) public {
        _any(stake, queued, locked);
        book.fine(0, OWNER, amount);
        assert(amount <= locked);
        assert(book.burned() == amount);
        _conserved(stake);
    }

    function check_forfeit_burns_all_but_locks(
        uint64 stake,
        uint64 queued,
        uint64 locked,
        uint256 released
    ) public {
        _any(stake, queued, locked);
        book.forfeit(OWNER);
        assert(_account().stake == locked);
        assert(book.freeOf(OWNER) == 0);
        book.release(OWNER, released, 0);
        assert(_account().stake == locked - released);
        _conserved(stake);
    }

    function check_leave_pays_the_queue_and_no_lock(
        uint64 stake,
        uint64 queued,
        uint64 locked,
        uint32 wait
    ) public {
        _any(stake, queued, locked);
        VM.warp(block.timestamp + wait);
        VM.prank(OWNER);
        uint256 amount = book.leave(OWNER);
        assert(locked == 0);
        assert(wait >= 14 days);
        assert(amount <= queued);
        assert(book.paid() == amount);
        _conserved(stake);
    }

    function check_credit_is_paid_once(
        uint64 stake,
        uint64 locked,
        uint256 amount,
        uint256 compensation
    ) public {
        _any(stake, 0, locked);
        book.slash(_division(amount, compensation, 0));
        assert(book.withdrawFor(CONSUMER) == compensation);
        assert(book.credit(CONSUMER) == 0);
        assert(book.paid() == compensation);
        (bool again,) = address(book).call(abi.encodeCall(book.withdrawFor, (CONSUMER)));
        assert(!again);
        _conserved(stake);
    }

    /// @dev An account that staked, queued and locked whatever it could.
    function _any(uint64 stake, uint64 queued, uint64 locked) private {
        VM.prank(OWNER);
        book.stake(stake);
        book.lock(OWNER, OWNER, locked, 0, type(uint24).max);
        VM.prank(OWNER);
        book.queueWithdrawal(queued);
    }

    /// @dev Not a unit more or less than came in; and no lock without a stake.
    function _conserved(uint256 stake) private view {
        uint256 credits = book.credit(CONSUMER) + book.credit(CHALLENGER);
        assert(_account().stake + credits + book.burned() + book.paid() == stake);
        assert(_account().locked <= _account().stake);
    }

    function _account() private view returns (IStakeVault.Account memory) {
        return book.accountOf(OWNER);
    }

    function _division(uint256 amount, uint256 compensation, uint256 reward)
        private
        pure
        returns (IStakeVault.Division memory)
    {
        return IStakeVault.Division({
            id: 0,
            owner: OWNER,
            amount: amount,
            load: 0,
            consumer: CONSUMER,
            compensation: compensation,
            challenger: CHALLENGER,
            reward: reward
        });
    }
}
