// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IStakedAssurance} from "../interfaces/IStakedAssurance.sol";
import {Request} from "../types/Request.sol";
import {Terms} from "../types/Terms.sol";

/// @title What coverage costs and how long things take: functions of a request's terms, and of what
///        differs from chain to chain. docs/assurance.md has them in a table.
abstract contract Tariff is IStakedAssurance {
    /// @dev W_max: InferenceOracle.MAX_CONTEST. Window and prove clock end well before.
    uint256 internal constant MAX_CONTEST = 7 days;
    uint256 internal constant MIN_PROVE_CLOCK = 2 hours;
    uint256 internal constant PROVE_FACTOR = 8;
    /// @dev What every clock has above proving time and inclusion delay.
    uint256 internal constant MARGIN = 1 hours;
    uint256 internal constant REWARD_SHARE = 10;
    uint256 internal constant REWARD_FACTOR = 3;

    uint256 internal immutable _windowSmall;
    uint256 internal immutable _windowLarge;
    uint256 internal immutable _largeCoverage;
    uint256 internal immutable _inclusionDelay;
    uint256 internal immutable _challengerCost;
    uint256 internal immutable _verifyCost;
    uint256 internal immutable _provingPrice;

    constructor(Parameters memory parameters) {
        uint256 shortest = MARGIN + parameters.inclusionDelay;
        if (
            parameters.window < shortest || parameters.largeWindow < parameters.window
                || parameters.verifyGas == 0 || parameters.gasPriceCap == 0
                || parameters.challengerCost == 0
        ) revert WrongParameters();
        _windowSmall = parameters.window;
        _windowLarge = parameters.largeWindow;
        _largeCoverage = parameters.largeCoverage;
        _inclusionDelay = parameters.inclusionDelay;
        _challengerCost = parameters.challengerCost;
        _verifyCost = uint256(parameters.verifyGas) * parameters.gasPriceCap;
        _provingPrice = parameters.provingPrice;
    }

    /// @inheritdoc IStakedAssurance
    function bond(bytes32 terms) external view returns (uint256) {
        return _bond(Terms.wrap(uint256(terms)));
    }

    /// @inheritdoc IStakedAssurance
    function split(bytes32 terms)
        external
        view
        returns (uint256 compensation, uint256 reward, uint256 burn)
    {
        return _split(Terms.wrap(uint256(terms)));
    }

    /// @inheritdoc IStakedAssurance
    function clocks(bytes32 terms) external view returns (uint256 window, uint256 prove) {
        return (_window(Terms.wrap(uint256(terms))), _proveClock(Terms.wrap(uint256(terms))));
    }

    function _terms(Request calldata request) internal pure returns (Terms) {
        return Terms.wrap(uint256(request.terms));
    }

    /// @dev Coverage, a window no shorter than the tier's, and an end before the oracle refunds.
    function _checkTerms(Terms terms) internal view {
        if (!terms.isComplete()) revert MalformedTerms(bytes32(Terms.unwrap(terms)));
        uint256 least = _leastWindow(terms);
        uint256 window = _windowFrom(terms, least);
        if (window < least) revert WindowTooShort(least, window);
        uint256 most = MAX_CONTEST - MARGIN - _inclusionDelay;
        uint256 contest = window + _proveClock(terms);
        if (contest > most) revert ContestTooLong(most, contest);
    }

    /// @dev Below 2^48: 2 * 2^40 + max(2^40 / 10, 3 * 2^40).
    function _locked(Terms terms) internal view returns (uint256) {
        (uint256 compensation, uint256 reward, uint256 burn) = _split(terms);
        return compensation + reward + burn;
    }

    function _split(Terms terms)
        internal
        view
        returns (uint256 compensation, uint256 reward, uint256 burn)
    {
        compensation = terms.coverage();
        reward = compensation / REWARD_SHARE;
        uint256 least = REWARD_FACTOR * _challengerCost;
        if (reward < least) reward = least;
        burn = compensation < reward ? reward : compensation;
    }

    function _window(Terms terms) internal view returns (uint256) {
        return _windowFrom(terms, _leastWindow(terms));
    }

    function _windowFrom(Terms terms, uint256 least) private pure returns (uint256) {
        uint256 chosen = terms.windowHours();
        return chosen == 0 ? least : chosen * 1 hours;
    }

    function _leastWindow(Terms terms) private view returns (uint256 window) {
        window = terms.coverage() > _largeCoverage ? _windowLarge : _windowSmall;
        uint256 least = terms.proving() + MARGIN + _inclusionDelay;
        if (window < least) window = least;
    }

    function _proveClock(Terms terms) internal view returns (uint256 clock) {
        clock = PROVE_FACTOR * terms.proving();
        if (clock < MIN_PROVE_CLOCK) clock = MIN_PROVE_CLOCK;
        clock += MARGIN + _inclusionDelay;
    }

    function _bond(Terms terms) internal view returns (uint256) {
        return _verifyCost + terms.proving() * _provingPrice;
    }
}
