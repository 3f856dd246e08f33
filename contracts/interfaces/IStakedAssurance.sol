// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Status} from "../types/Status.sol";

/// @notice What tiers have in common whose answers an operator's stake vouches for: prices, clocks,
///         refusals. docs/assurance.md has the formulas in a table.
interface IStakedAssurance {
    /// @notice What differs from chain to chain; fixed for ever when the tier is made.
    /// @param window seconds in which an answer can be disputed: 4 h on L1, 36 h on L2
    /// @param largeWindow the same for coverage above largeCoverage: 24 h on L1, 36 h on L2
    /// @param largeCoverage gwei: 10 ether
    /// @param inclusionDelay seconds within which a censored transaction can be forced in: 0 on L1,
    ///        12 to 24 h on L2
    /// @param challengerCost gwei that finding and disputing a wrong answer is reckoned to cost
    /// @param verifyGas gas of verifying a proof of any model served here
    /// @param gasPriceCap wei a unit of gas, in reckoning bonds
    /// @param provingPrice wei a second of proving, likewise
    struct Parameters {
        uint32 window;
        uint32 largeWindow;
        uint40 largeCoverage;
        uint32 inclusionDelay;
        uint40 challengerCost;
        uint32 verifyGas;
        uint64 gasPriceCap;
        uint64 provingPrice;
    }

    /// @notice Only the tier's oracle may ask.
    error OnlyOracle(address expected, address got);
    /// @notice A constructor argument makes no sense.
    error WrongParameters();
    /// @notice The vault does not let this tier lock.
    error NotATier(address vault);
    /// @notice No coverage, no proving time, or bits that mean nothing (types/Terms.sol).
    error MalformedTerms(bytes32 got);
    /// @notice The contest window asked for is shorter than the tier's own.
    error WindowTooShort(uint256 min, uint256 got);
    /// @notice Window and prove clock together leave no time before the oracle refunds.
    error ContestTooLong(uint256 max, uint256 got);
    /// @notice The claim is not the one that stands.
    error WrongClaim(bytes32 expected, bytes32 got);
    /// @notice The request names another tier.
    error WrongTier(address expected, address got);
    /// @notice Nothing can be done in this status.
    error WrongStatus(bytes32 requestId, Status got);
    /// @notice Too early: `until` must have passed.
    error TooEarly(uint256 until, uint256 timestamp);
    /// @notice Too late: `until` has passed.
    error TooLate(uint256 until, uint256 timestamp);
    /// @notice The operator lost a dispute; its claims are final only by proof.
    error OperatorSuspended(address operator);
    /// @notice That an input has no provable answer cannot be proved.
    error NothingToProve(bytes32 requestId);
    error BondTooLow(uint256 min, uint256 got);
    error BondTooHigh(uint256 max, uint256 got);
    error TransferFailed(address to, uint256 amount);

    /// @notice Wei due with a dispute: verifyGas * gasPriceCap + proving * provingPrice.
    function bond(bytes32 terms) external view returns (uint256);

    /// @notice Gwei: C, R = max(C / 10, 3 * challengerCost), B = max(C, R). Their sum is locked.
    function split(bytes32 terms)
        external
        view
        returns (uint256 compensation, uint256 reward, uint256 burn);

    /// @notice Seconds: the contest window, and the prove clock, max(2 h, 8 * proving) + 1 h + inclusion
    ///         delay.
    function clocks(bytes32 terms) external view returns (uint256 window, uint256 prove);
}
