// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {Lock, MAX_LOAD, MAX_LOCK, NO_LOCK, toLock} from "../types/Lock.sol";

/// @title Stakes, ring-fenced claim by claim; the rules are in IStakeVault.
contract StakeVault is IStakeVault {
    uint256 internal constant UNIT = 1 gwei;
    /// @dev Twice W_max, the longest that a claim can be open.
    uint256 internal constant WITHDRAWAL_DELAY = 14 days;

    address internal immutable _tier0;
    address internal immutable _tier1;
    address internal immutable _tier2;
    address internal immutable _tier3;

    /// @inheritdoc IStakeVault
    mapping(address account => uint256) public credit;
    /// @inheritdoc IStakeVault
    uint256 public burned;
    mapping(address owner => Account) private _accounts;
    mapping(address tier => mapping(bytes32 id => Lock)) private _locks;

    modifier onlyTier() {
        if (!isTier(msg.sender)) revert NotATier(msg.sender);
        _;
    }

    /// @param tiers contracts that may lock, made before or after; zero for none
    constructor(address[4] memory tiers) {
        (_tier0, _tier1, _tier2, _tier3) = (tiers[0], tiers[1], tiers[2], tiers[3]);
    }

    /// @inheritdoc IStakeVault
    function stake() external payable {
        uint256 amount = msg.value / UNIT;
        uint256 total = _accounts[msg.sender].stake + amount;
        if (amount == 0 || msg.value % UNIT != 0 || total > type(uint64).max) {
            revert WrongStake(msg.value);
        }

        _accounts[msg.sender].stake = uint64(total);

        emit Staked(msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function queueWithdrawal(uint256 amount) external {
        Account storage account = _accounts[msg.sender];
        if (amount > account.stake) revert TooMuch(account.stake, amount);

        uint256 readyAt = block.timestamp + WITHDRAWAL_DELAY;
        (account.queued, account.readyAt) = (uint64(amount), uint32(readyAt));

        emit WithdrawalQueued(msg.sender, amount, readyAt);
    }

    /// @inheritdoc IStakeVault
    function leave(address to) external returns (uint256 amount) {
        Account storage account = _accounts[msg.sender];
        amount = account.queued < account.stake ? account.queued : account.stake;
        if (amount == 0) revert NothingToWithdraw(msg.sender);
        if (block.timestamp < account.readyAt) revert NotReady(account.readyAt, block.timestamp);
        if (account.locked != 0) revert LocksRemain(account.locked);

        (account.stake, account.queued) = (account.stake - uint64(amount), 0);

        emit Left(msg.sender, to, amount);

        _send(to, amount);
    }

    /// @inheritdoc IStakeVault
    function pay(address to, uint256 amount) external {
        if (to == address(0)) revert ZeroAddress();
        if (amount > credit[msg.sender]) revert TooMuch(credit[msg.sender], amount);

        credit[msg.sender] -= amount;
        credit[to] += amount;

        emit Paid(msg.sender, to, amount);
    }

    /// @inheritdoc IStakeVault
    function withdraw(address to) external returns (uint256 amount) {
        return _withdraw(msg.sender, to);
    }

    /// @inheritdoc IStakeVault
    function withdrawFor(address account) external returns (uint256 amount) {
        return _withdraw(account, account);
    }

    /// @inheritdoc IStakeVault
    function lock(bytes32 id, address owner, uint256 amount, uint256 load, uint256 maxLoad)
        external
        onlyTier
    {
        Account memory account = _accounts[owner];
        if (account.suspended) revert Suspended(owner);
        uint256 free = _free(account);
        if (amount > free || amount > MAX_LOCK) revert CoverageAboveFreeStake(amount, free);
        if (load > MAX_LOAD) revert TooMuch(MAX_LOAD, load);
        uint256 total = account.load + load;
        if (total > maxLoad || total > type(uint24).max) revert Overloaded(maxLoad, total);
        if (_locks[msg.sender][id].exists()) revert DuplicateLock(id);

        (account.locked, account.load) = (account.locked + uint64(amount), uint24(total));
        _accounts[owner] = account;
        _locks[msg.sender][id] = toLock(owner, amount, block.timestamp, load);
    }

    /// @inheritdoc IStakeVault
    function contest(bytes32 id) external onlyTier returns (Lock lock_, bool suspended) {
        lock_ = _existing(id);
        suspended = _accounts[lock_.owner()].suspended;

        _locks[msg.sender][id] = lock_.contest();
    }

    /// @inheritdoc IStakeVault
    function release(bytes32 id) external onlyTier returns (Lock lock_) {
        lock_ = _existing(id);
        Account memory account = _accounts[lock_.owner()];

        _unlock(account, lock_);
        _accounts[lock_.owner()] = account;
        _locks[msg.sender][id] = NO_LOCK;
    }

    /// @inheritdoc IStakeVault
    function slash(
        bytes32 id,
        address consumer,
        uint256 compensation,
        address challenger,
        uint256 reward
    ) external onlyTier {
        Lock lock_ = _existing(id);
        uint256 amount = lock_.amount();
        // The first two comparisons keep the sum from overflowing.
        if (compensation > amount || reward > amount || 2 * compensation + reward > amount) {
            revert WrongSplit(amount, compensation, reward);
        }
        uint256 burn = amount - compensation - reward;
        Account memory account = _accounts[lock_.owner()];

        _unlock(account, lock_);
        (account.stake, account.suspended) = (account.stake - uint64(amount), true);
        _accounts[lock_.owner()] = account;
        _locks[msg.sender][id] = NO_LOCK;
        credit[consumer] += compensation;
        credit[challenger] += reward;
        burned += burn;

        emit Slashed(
            lock_.owner(), msg.sender, id, consumer, compensation, challenger, reward, burn
        );
    }

    /// @inheritdoc IStakeVault
    function lockOf(address tier, bytes32 id) external view returns (Lock lock_, bool suspended) {
        lock_ = _locks[tier][id];
        suspended = _accounts[lock_.owner()].suspended;
    }

    /// @inheritdoc IStakeVault
    function accountOf(address owner) external view returns (Account memory) {
        return _accounts[owner];
    }

    /// @inheritdoc IStakeVault
    function freeOf(address owner) external view returns (uint256) {
        return _free(_accounts[owner]);
    }

    /// @inheritdoc IStakeVault
    function isTier(address account) public view returns (bool) {
        return account != address(0)
            && (account == _tier0 || account == _tier1 || account == _tier2 || account == _tier3);
    }

    function _free(Account memory account) private pure returns (uint256) {
        uint256 taken = uint256(account.locked) + account.queued;
        return account.stake > taken ? account.stake - taken : 0;
    }

    function _existing(bytes32 id) private view returns (Lock lock_) {
        lock_ = _locks[msg.sender][id];
        if (!lock_.exists()) revert NoSuchLock(id);
    }

    function _unlock(Account memory account, Lock lock_) private pure {
        account.locked -= uint64(lock_.amount());
        account.load -= uint24(lock_.load());
    }

    function _withdraw(address account, address to) private returns (uint256 amount) {
        amount = credit[account];
        if (amount == 0) revert NothingToWithdraw(account);

        credit[account] = 0;

        emit Withdrawn(account, to, amount);

        _send(to, amount);
    }

    /// @dev Last in every function that uses it. No return data is copied.
    function _send(address to, uint256 amount) private {
        if (to == address(0)) revert ZeroAddress();
        uint256 value = amount * UNIT;
        bool success;
        assembly ("memory-safe") {
            success := call(gas(), to, value, 0, 0, 0, 0)
        }
        if (!success) revert TransferFailed(to, value);
    }
}
