// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAuditedAssurance} from "../interfaces/IAuditedAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IRandomness} from "../interfaces/IRandomness.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {Claim, Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";
import {Terms} from "../types/Terms.sol";
import {OptimisticAssurance} from "./OptimisticAssurance.sol";

/// @title The optimistic tier with random audits; the rules are in IAuditedAssurance.
contract AuditedAssurance is OptimisticAssurance, IAuditedAssurance {
    uint256 internal constant WHOLE = 10_000;
    uint256 internal constant LEAST_RATE = 200;
    /// @dev 1 / beta: of a stake that leaves by slashes or is forfeited, one third at least is nobody's.
    uint256 internal constant INVERSE_BETA = 3;
    /// @dev From the window's end to the round that decides: who makes a block, or sends one late, may
    ///      date it in the window and know a round of later. Beside the inclusion delay.
    uint256 internal constant UNSEEN = 1 minutes;
    /// @dev After the oracle's week, the beacon may be missing that long before a lock ends without it.
    uint256 internal constant BEACON_GRACE = 14 days;

    IRandomness public immutable randomness;
    /// @inheritdoc IAuditedAssurance
    mapping(address payee => uint256) public drawnOf;
    /// @inheritdoc IAuditedAssurance
    mapping(bytes32 requestId => bool) public isFrozen;

    constructor(
        IInferenceOracle oracle_,
        ITensorVerifier verifier_,
        IModelRegistry registry_,
        IStakeVault vault_,
        Parameters memory parameters,
        IRandomness randomness_
    ) OptimisticAssurance(oracle_, verifier_, registry_, vault_, parameters) {
        randomness = randomness_;
    }

    /// @inheritdoc IAuditedAssurance
    function freeze(Request calldata request, address payee, bytes32 outputHash) external {
        (bytes32 requestId, uint256 since) =
            _checkClaim(request, payee, outputHash, Status.Provisional);
        if (outputHash == UNANSWERABLE) revert NothingToProve(requestId);
        (uint64 round, bool known, bool drawn,) = _draw(requestId, _terms(request), since);
        if (!known) revert SeedUnknown(round);
        bool moot = !_isUnchanged() || _isStopped(request.modelId);
        if (!drawn || moot || isFrozen[requestId]) revert NothingToFreeze(requestId);

        isFrozen[requestId] = true;
        ++drawnOf[payee];

        emit Frozen(requestId, payee);
    }

    /// @inheritdoc IAuditedAssurance
    function auditOf(Request calldata request)
        external
        view
        returns (uint64 round, bool known, bool drawn, uint256 until)
    {
        bytes32 requestId = oracle.idOf(request);
        (,, uint256 since) = oracle.claimOf(requestId);
        return _draw(requestId, _terms(request), since);
    }

    /// @inheritdoc IAuditedAssurance
    function leastStake(bytes32 terms) external pure returns (uint256) {
        return _leastStake(Terms.wrap(uint256(terms)));
    }

    function _checkAuditRate(Terms terms) internal pure override {
        uint256 rate = terms.auditRate();
        if (rate < LEAST_RATE || rate > WHOLE) revert WrongAuditRate(LEAST_RATE, WHOLE, rate);
    }

    /// @dev a >= C / (C + beta S). The stake does not leave before the claim ends, and S is fixed here:
    ///      what is staked later changes no draw.
    function _checkStake(address payee, Terms terms) internal view override {
        uint256 needed = _leastStake(terms);
        uint256 got = vault.accountOf(payee).stake;
        if (got < needed) revert StakeTooSmall(needed, got);
    }

    function _rest(Request calldata request, Claim calldata claim)
        internal
        override
        returns (Status)
    {
        (uint64 round, bool known, bool drawn, uint256 until) =
            _draw(claim.requestId, _terms(request), claim.since);
        if (!known) revert SeedUnknown(round);
        if (block.timestamp <= until) revert AuditOpen(until, block.timestamp);
        if (!drawn) {
            uint256 open = drawnOf[claim.payee];
            if (open != 0 && !vault.isSuspended(claim.payee)) {
                revert OperatorFrozen(claim.payee, open);
            }
            return super._rest(request, claim);
        }
        if (_isUnchanged()) _fail(request, claim.requestId, claim.payee);
        else _free(request, claim.requestId, claim.payee);
        return Status.Retracted;
    }

    /// @dev A drawn claim that was proved, or that no proof is taken of any more, freezes nothing.
    function _free(Request calldata request, bytes32 requestId, address payee) internal override {
        if (isFrozen[requestId]) {
            delete isFrozen[requestId];
            --drawnOf[payee];
        }
        super._free(request, requestId, payee);
    }

    /// @dev To say nothing for a week is no way around the audit: anyone publishes the round, and nothing
    ///      can be proved any more. The week ends an hour, less `UNSEEN` and a round, after the last clock
    ///      (`admit`) if the round is published when it is made; who has not seen it by then, proves.
    function _closeSilent(
        Request calldata request,
        bytes32 requestId,
        address payee,
        bytes32 outputHash,
        uint256 since
    ) internal override {
        bool exempt = outputHash == UNANSWERABLE || !_isUnchanged() || _isStopped(request.modelId);
        if (exempt || !_isDrawn(request, requestId, since)) {
            super._closeSilent(request, requestId, payee, outputHash, since);
        } else {
            _fail(request, requestId, payee);
        }
    }

    /// @dev Lost after its window, a drawn claim costs the whole stake in every way: else a cheat that was
    ///      drawn would prove itself wrong, or dispute itself, and lose one lock. Nobody knows the draw
    ///      before.
    function _afterLoss(Request calldata request, bytes32 requestId, address payee, uint256 lost)
        internal
        override
    {
        (, bytes32 standing, uint256 since) = oracle.claimOf(requestId);
        bool exempt = standing == _digest(payee, UNANSWERABLE);
        if (exempt || lost <= since + _window(_terms(request))) return;
        if (!_isDrawn(request, requestId, since)) return;
        emit AuditFailed(requestId, payee);
        vault.forfeit(payee);
    }

    function _fail(Request calldata request, bytes32 requestId, address payee) private {
        _decide(requestId, Outcome.Lapsed);
        emit AuditFailed(requestId, payee);
        _slash(request, requestId, payee, address(0));
        vault.forfeit(payee);
    }

    /// @dev Reverts while nobody has published the round; three weeks after the deadline it draws nothing.
    function _isDrawn(Request calldata request, bytes32 requestId, uint256 since)
        private
        view
        returns (bool drawn)
    {
        uint64 round;
        bool known;
        (round, known, drawn,) = _draw(requestId, _terms(request), since);
        uint256 until = request.deadline + MAX_CONTEST + BEACON_GRACE;
        if (!known && block.timestamp <= until) revert SeedUnknown(round);
    }

    /// @dev What takes time takes it from when the round is published, since a beacon that halted makes its
    ///      rounds late; but from no earlier than its time, since a block may be dated back.
    function _draw(bytes32 requestId, Terms terms, uint256 since)
        private
        view
        returns (uint64 round, bool known, bool drawn, uint256 until)
    {
        round = randomness.roundAfter(since + _window(terms) + UNSEEN + _inclusionDelay);
        bytes32 value = randomness.valueOf(round);
        known = value != 0;
        uint256 lot = uint256(keccak256(abi.encode(value, requestId))) % WHOLE;
        drawn = known && lot < terms.auditRate();
        until = randomness.timeOf(round);
        uint256 published = randomness.knownSince(round);
        if (published > until) until = published;
        until += known && !drawn ? MARGIN + _inclusionDelay : _proveClock(terms);
    }

    /// @dev C (1 - a) / (a beta), rounded up.
    function _leastStake(Terms terms) private pure returns (uint256) {
        uint256 rate = terms.auditRate();
        if (rate == 0) revert WrongAuditRate(LEAST_RATE, WHOLE, rate);
        uint256 spared = rate > WHOLE ? 0 : WHOLE - rate;
        return (INVERSE_BETA * terms.coverage() * spared + rate - 1) / rate;
    }
}
