// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Operators' stakes in one coin: ETH (IEtherVault) or an ERC-20 (ITokenVault). A few tiers,
///         named when the vault is made and never after, lock stake for single claims, and release
///         or slash each lock. Nobody else has a right over a stake, and there is no admin.
///
/// The vault keeps one word an owner: what is locked in all. Which claim holds how much follows from
/// the claim (its owner is its payee, its lock a function of the request's terms), so no word is
/// stored for it; that a tier ends each lock once is the tier's to see to.
///
/// All amounts are in units of the coin (`unit`; gwei where it is ETH), but for what is staked. A lock
/// is C + R + B: the consumer's compensation, the challenger's reward, and what is burned, B >= C and R.
/// Consumer, operator and challenger may be one party, so only B deters. What is burned stays in the
/// vault, where no function reaches it.
///
/// Always: locked <= stake for every owner, and
///   balance >= sum of stakes + sum of credits + burned (more can be forced in).
interface IStakeVault {
    /// @notice One owner's stake, in one slot.
    /// @param stake all of it: free, locked and queued
    /// @param locked sum of its open locks
    /// @param queued what is to be withdrawn; it backs no new lock, and can be slashed until it leaves
    /// @param readyAt earliest second at which the queued amount may leave
    /// @param load sum of the proving seconds of its open locks
    /// @param suspended it was slashed once: it locks no more, and none of its claims may become
    ///        final by silence
    struct Account {
        uint64 stake;
        uint64 locked;
        uint64 queued;
        uint32 readyAt;
        uint24 load;
        bool suspended;
    }

    /// @notice How a lock is divided.
    /// @param id the request, for the event
    /// @param owner of the lock
    /// @param amount all of it
    /// @param load seconds that go with it
    /// @param consumer who is credited the compensation
    /// @param compensation of `amount`
    /// @param challenger who is credited the reward
    /// @param reward of `amount`; what is left is burned
    struct Division {
        bytes32 id;
        address owner;
        uint256 amount;
        uint256 load;
        address consumer;
        uint256 compensation;
        address challenger;
        uint256 reward;
    }

    event Staked(address indexed owner, uint256 amount);
    event Appointed(address indexed owner, address indexed agent);
    event WithdrawalQueued(address indexed owner, uint256 amount, uint256 readyAt);
    /// @notice All that an owner had free was burned.
    event Forfeited(address indexed owner, address indexed tier, uint256 amount);
    event Left(address indexed owner, address indexed to, uint256 amount);
    /// @notice A lock was divided: compensation + reward + burn is all of it.
    event Slashed(
        address indexed owner,
        address indexed tier,
        bytes32 indexed id,
        address consumer,
        uint256 compensation,
        address challenger,
        uint256 reward,
        uint256 burn
    );
    /// @notice A lock was burned, for no more than not having spoken.
    event Fined(address indexed owner, address indexed tier, bytes32 indexed id, uint256 amount);
    event Paid(address indexed from, address indexed to, uint256 amount);
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    /// @notice Only a tier named at construction may do this.
    error NotATier(address got);
    /// @notice More tiers than a vault serves.
    error TooManyTiers(uint256 max, uint256 got);
    /// @notice Stakes are whole units, not none, and below 2^64 of them.
    error WrongStake(uint256 got);
    /// @notice The free stake does not cover this lock: less coverage, another operator, or a proof.
    error CoverageAboveFreeStake(uint256 needed, uint256 free);
    /// @notice With this claim, the proofs that could be demanded would not be done in time.
    error Overloaded(uint256 max, uint256 got);
    /// @notice Only the owner and its agent may have its stake locked.
    error NotItsAgent(address owner, address got);
    /// @notice The owner was slashed before.
    error Suspended(address owner);
    /// @notice So much is not locked.
    error NoSuchLock(uint256 locked, uint256 got);
    /// @notice Compensation, reward and a burn of at least the compensation do not fit the lock.
    error WrongSplit(uint256 locked, uint256 compensation, uint256 reward);
    /// @notice More than there is.
    error TooMuch(uint256 max, uint256 got);
    /// @notice Too early: possible from `readyAt` on.
    error NotReady(uint256 readyAt, uint256 timestamp);
    /// @notice Stake is still locked for claims.
    error LocksRemain(uint256 locked);
    error NothingToWithdraw(address account);
    error IsATier(address account);
    error ZeroAddress();
    error TransferFailed(address to, uint256 amount);

    // --- owners -----------------------------------------------------------------------------------

    /// @notice Names the one other address that may answer for the caller's stake; zero for none.
    function appoint(address agent) external;

    /// @notice Queues that much of the caller's stake, in place of what was queued; 0 for nothing.
    ///         Two weeks from now it may leave, unless a claim is still open.
    function queueWithdrawal(uint256 amount) external;

    /// @notice Sends what is queued, or what slashes left of it, to `to`. After its time, and when
    ///         none of the caller's stake is locked.
    function leave(address to) external returns (uint256 amount);

    // --- anyone -----------------------------------------------------------------------------------

    /// @notice Hands some of the caller's credit over.
    function pay(address to, uint256 amount) external;

    /// @notice Sends the caller's credit to `to`.
    function withdraw(address to) external returns (uint256 amount);

    /// @notice Sends an account's credit to itself: for consumers that cannot ask. Not a tier's, which is
    ///         others' rewards until it pays them.
    function withdrawFor(address account) external returns (uint256 amount);

    // --- tiers ------------------------------------------------------------------------------------

    /// @notice Locks some of an owner's free stake.
    /// @param agent who answers, as the tier saw it: the owner, or whom it appointed
    /// @param load seconds that a proof of the claim takes
    /// @param maxLoad the owner's open loads, this one included, may be no more than that
    function lock(address owner, address agent, uint256 amount, uint256 load, uint256 maxLoad)
        external;

    /// @notice Ends a lock; all of it is free again (burned, if the owner's stake is forfeited).
    /// @return suspended whether the owner is
    function release(address owner, uint256 amount, uint256 load) external returns (bool suspended);

    /// @notice Ends a lock: credits the compensation and the reward, burns the rest, and suspends the
    ///         owner. What else is locked stays so.
    function slash(Division calldata division) external;

    /// @notice Ends a lock and burns it; nobody is suspended for that.
    function fine(bytes32 id, address owner, uint256 amount) external;

    /// @notice Burns an owner's free stake, for ever also what any of its locks frees later, and
    ///         suspends it. Locks still pay compensations.
    function forfeit(address owner) external;

    // --- views ------------------------------------------------------------------------------------

    /// @notice Of the coin's smallest units, how many amounts are counted in.
    function unit() external view returns (uint256);

    function isTier(address account) external view returns (bool);

    /// @notice Whom an owner appointed to answer for its stake.
    function agentOf(address owner) external view returns (address);

    function isSuspended(address owner) external view returns (bool);

    function isForfeited(address owner) external view returns (bool);

    function accountOf(address owner) external view returns (Account memory);

    /// @notice What a new lock can take: stake - locked - queued, or 0.
    function freeOf(address owner) external view returns (uint256);

    /// @notice What waits for an account.
    function credit(address account) external view returns (uint256);

    /// @notice All that was ever burned.
    function burned() external view returns (uint256);
}
