// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IStakeVault} from "../interfaces/IStakeVault.sol";

/// @title Stakes that vouch for claims, in whatever coin; the rules are in IStakeVault.
abstract contract Vault is IStakeVault {
    /// @dev Twice W_max, the longest that a claim can be open.
    uint256 internal constant WITHDRAWAL_DELAY = 14 days;
    uint256 internal constant MOST_TIERS = 6;

    /// @inheritdoc IStakeVault
    uint256 public immutable unit;
    address internal immutable _tier0;
    address internal immutable _tier1;
    address internal immutable _tier2;
    address internal immutable _tier3;
    address internal immutable _tier4;
    address internal immutable _tier5;

    /// @inheritdoc IStakeVault
    mapping(address account => uint256) public credit;
    /// @inheritdoc IStakeVault
    uint256 public burned;
    /// @inheritdoc IStakeVault
    mapping(address owner => address) public agentOf;
    /// @inheritdoc IStakeVault
    mapping(address owner => bool) public isForfeited;
    mapping(address owner => Account) private _accounts;

    modifier onlyTier() {
        if (!isTier(msg.sender)) revert NotATier(msg.sender);
        _;
    }

    /// @param tiers contracts that may lock, made before or after: six at most
    constructor(address[] memory tiers, uint256 unit_) {
        unit = unit_;
        if (tiers.length > MOST_TIERS) revert TooManyTiers(MOST_TIERS, tiers.length);
        address[MOST_TIERS] memory named;
        for (uint256 i; i < tiers.length; ++i) {
            named[i] = tiers[i];
        }
        (_tier0, _tier1, _tier2) = (named[0], named[1], named[2]);
        (_tier3, _tier4, _tier5) = (named[3], named[4], named[5]);
    }

    /// @inheritdoc IStakeVault
    function appoint(address agent) external {
        agentOf[msg.sender] = agent;

        emit Appointed(msg.sender, agent);
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
        if (isTier(account)) revert IsATier(account);
        return _withdraw(account, account);
    }

    /// @inheritdoc IStakeVault
    function lock(address owner, address agent, uint256 amount, uint256 load, uint256 maxLoad)
        external
        onlyTier
    {
        if (agent != owner && agent != agentOf[owner]) revert NotItsAgent(owner, agent);
        Account memory account = _accounts[owner];
        if (account.suspended) revert Suspended(owner);
        uint256 free = _free(account);
        if (amount > free) revert CoverageAboveFreeStake(amount, free);
        if (load > type(uint24).max) revert TooMuch(type(uint24).max, load);
        uint256 total = account.load + load;
        if (total > maxLoad || total > type(uint24).max) revert Overloaded(maxLoad, total);

        (account.locked, account.load) = (account.locked + uint64(amount), uint24(total));
        _accounts[owner] = account;
    }

    /// @inheritdoc IStakeVault
    function release(address owner, uint256 amount, uint256 load)
        external
        onlyTier
        returns (bool suspended)
    {
        Account memory account = _accounts[owner];
        suspended = account.suspended;

        _unlock(account, amount, load);
        if (suspended && isForfeited[owner]) {
            account.stake -= uint64(amount);
            burned += amount;
        }
        _accounts[owner] = account;
    }

    /// @inheritdoc IStakeVault
    function slash(Division calldata division) external onlyTier {
        uint256 amount = division.amount;
        (uint256 compensation, uint256 reward) = (division.compensation, division.reward);
        // The first two comparisons keep the sum from overflowing.
        if (compensation > amount || reward > amount || 2 * compensation + reward > amount) {
            revert WrongSplit(amount, compensation, reward);
        }
        uint256 burn = amount - compensation - reward;
        address owner = division.owner;
        Account memory account = _accounts[owner];

        _unlock(account, amount, division.load);
        (account.stake, account.suspended) = (account.stake - uint64(amount), true);
        _accounts[owner] = account;
        credit[division.consumer] += compensation;
        credit[division.challenger] += reward;
        burned += burn;

        emit Slashed(
            owner,
            msg.sender,
            division.id,
            division.consumer,
            compensation,
            division.challenger,
            reward,
            burn
        );
    }

    /// @inheritdoc IStakeVault
    function fine(bytes32 id, address owner, uint256 amount) external onlyTier {
        Account memory account = _accounts[owner];

        _unlock(account, amount, 0);
        account.stake -= uint64(amount);
        _accounts[owner] = account;
        burned += amount;

        emit Fined(owner, msg.sender, id, amount);
    }

    /// @inheritdoc IStakeVault
    function forfeit(address owner) external onlyTier {
        Account memory account = _accounts[owner];
        uint256 amount = account.stake - account.locked;

        (account.stake, account.suspended) = (account.locked, true);
        _accounts[owner] = account;
        isForfeited[owner] = true;
        burned += amount;

        emit Forfeited(owner, msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function isSuspended(address owner) external view returns (bool) {
        return _accounts[owner].suspended;
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
            && (account == _tier0
                || account == _tier1
                || account == _tier2
                || account == _tier3
                || account == _tier4
                || account == _tier5);
    }

    function _free(Account memory account) private pure returns (uint256) {
        uint256 taken = uint256(account.locked) + account.queued;
        return account.stake > taken ? account.stake - taken : 0;
    }

    function _unlock(Account memory account, uint256 amount, uint256 load) private pure {
        if (amount > account.locked) revert NoSuchLock(account.locked, amount);
        if (load > account.load) revert NoSuchLock(account.load, load);
        account.locked -= uint64(amount);
        account.load -= uint24(load);
    }

    function _withdraw(address account, address to) private returns (uint256 amount) {
        amount = credit[account];
        if (amount == 0) revert NothingToWithdraw(account);

        credit[account] = 0;

        emit Withdrawn(account, to, amount);

        _send(to, amount);
    }

    /// @dev Units that came in are the caller's.
    function _stake(uint256 amount) internal {
        uint256 total = _accounts[msg.sender].stake + amount;
        if (amount == 0 || total > type(uint64).max) revert WrongStake(amount * unit);

        _accounts[msg.sender].stake = uint64(total);

        emit Staked(msg.sender, amount);
    }

    /// @dev Last in every function that uses it.
    function _send(address to, uint256 amount) private {
        if (to == address(0)) revert ZeroAddress();
        _push(to, amount * unit);
    }

    /// @dev Hands out that much of the coin, or reverts.
    function _push(address to, uint256 value) internal virtual;
}
