// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Pinned} from "../assurance/Pinned.sol";
import {IAssurance} from "../interfaces/IAssurance.sol";
import {ICommitteeAssurance} from "../interfaces/ICommitteeAssurance.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {hasCommittedOutput} from "../types/Header.sol";
import {DIGEST_MASK} from "../types/Record.sol";
import {Claim, Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";
import {Terms} from "../types/Terms.sol";
import {Openings} from "./Openings.sol";

/// @title What becomes of claims that m of n staked members vouch for, however these say so; the rules
///        are in ICommitteeAssurance.
abstract contract Council is Openings, Pinned {
    uint256 internal constant REWARD_SHARE = 10;
    uint256 internal constant PROVE_FACTOR = 8;
    uint256 internal constant MIN_PROVE_CLOCK = 3 hours;
    /// @dev A claim stands for at most so long: in its own epoch and in the three after it.
    uint256 internal constant LONGEST = 3 days;
    uint256 internal constant OPEN_EPOCHS = 4;
    uint256 internal constant LANE = 56;

    bytes1 internal constant PROOF = 0x00;
    bytes1 internal constant AGREED = 0x01;
    bytes1 internal constant REFUTED = 0x02;

    /// @dev Gwei of every seat that the claims of OPEN_EPOCHS epochs reserve, LANE bits each, the
    ///      latest lowest; above them, which epoch that is. One seat may be drawn day after day.
    uint256 private _reserves;
    /// @dev Who dissented first, with which seat, and the last second for a proof then.
    mapping(bytes32 requestId => Dissent) private _dissents;

    struct Dissent {
        uint40 proveBy;
        uint32 seat;
        address member;
    }

    /// @inheritdoc IAssurance
    function admit(bytes32, Request calldata request) external view {
        Terms terms = Terms.wrap(uint256(request.terms));
        if (!terms.isComplete() || terms.windowHours() != 0 || terms.auditRate() != 0) {
            revert MalformedTerms(request.terms);
        }
        if (_window + _proveClock(terms) > LONGEST) revert MalformedTerms(request.terms);
        _checkPinned(request);
    }

    /// @inheritdoc IAssurance
    function judge(
        Request calldata request,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes calldata evidence
    ) external returns (Status) {
        if (msg.sender != address(oracle)) {
            revert OnlyOracle(address(oracle), msg.sender);
        }
        bool stands = claim.standing != 0;
        bool same = claim.digest == claim.standing;
        if (_isStopped(request.modelId)) {
            if (stands && !same) revert WrongClaim(claim.standing, claim.digest);
            return Status.Retracted;
        }
        if (evidence.length == 0) {
            if (!same) revert WrongEvidence(0);
            return _settle(claim);
        }
        bytes1 kind = evidence[0];
        if (kind == PROOF && (!stands || same)) {
            _verify(request, claim, input, output, evidence[1:]);
            if (stands) _blame(claim);
            return Status.Final;
        }
        if (kind == AGREED && !stands) return _agree(request, claim, output, evidence[1:]);
        if (kind == REFUTED && stands && !same) {
            bytes memory proof = _refute(request, claim, output, evidence[1:]);
            _verifyMemory(request, claim, input, output, proof);
            return Status.Final;
        }
        revert WrongEvidence(uint8(kind));
    }

    /// @inheritdoc ICommitteeAssurance
    function dissent(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        bytes calldata members,
        uint256 place
    ) external {
        if (request.assurance != address(this)) {
            revert WrongTier(address(this), request.assurance);
        }
        bytes32 requestId = oracle.idOf(request);
        (Status status, bytes32 standing, uint256 since) = oracle.claimOf(requestId);
        if (status != Status.Provisional) revert WrongStatus(requestId, status);
        bytes32 named = _digest(payee, outputHash);
        if (named != standing) revert WrongClaim(standing, named);
        _checkMembers(_epochOf(since), members);
        (uint256 seat, address member) = _member(members, place);
        if (member != msg.sender) revert OnlyOwner(member, msg.sender);
        uint256 until = since + _window;
        if (block.timestamp > until) revert TooLate(until, block.timestamp);
        if (_dissents[requestId].proveBy != 0) revert NothingLeft(requestId);
        uint256 proveBy = block.timestamp + _proveClock(Terms.wrap(uint256(request.terms)));

        _dissents[requestId] = Dissent(uint40(proveBy), uint32(seat), member);

        emit Dissented(requestId, member, proveBy);
    }

    /// @inheritdoc ICommitteeAssurance
    function reserved() external view returns (uint256 total) {
        (, total) = _openReserves(_epoch());
    }

    // --- verdicts -------------------------------------------------------------------------------

    function _agree(
        Request calldata request,
        Claim calldata claim,
        bytes calldata output,
        bytes calldata evidence
    ) private returns (Status) {
        uint256 epoch = _epoch();
        (, uint256 places) =
            _checkQuorum(claim.requestId, epoch, claim.payee, keccak256(output), evidence);
        (uint256 share,,) = _shares(request);
        (uint256 lanes, uint256 total) = _openReserves(epoch);
        if (total + share > _reservable()) {
            revert CoverageAboveStake(_reservable() - total, share);
        }

        _reserves = (epoch << (OPEN_EPOCHS * LANE)) | (lanes + share);

        emit Agreed(claim.requestId, epoch, places);
        if (!_isPlain(claim.sender)) emit Spoken(claim.requestId, evidence);
        return Status.Provisional;
    }

    /// @dev The standing claim handed in with nothing: what its clock says.
    function _settle(Claim calldata claim) private view returns (Status) {
        uint256 proveBy = _dissents[claim.requestId].proveBy;
        uint256 until = proveBy == 0 ? claim.since + _window : proveBy;
        if (block.timestamp <= until) revert TooEarly(until, block.timestamp);
        return proveBy == 0 ? Status.Final : Status.Retracted;
    }

    /// @dev What stands was proved: who dissented pays.
    function _blame(Claim calldata claim) private {
        Dissent memory held = _dissents[claim.requestId];
        if (held.proveBy == 0) return;
        _fineSeat(claim.requestId, _epochOf(claim.since), held.seat, held.member);
    }

    /// @dev Whether this account's call of the oracle was the transaction itself, whose calldata anyone can
    ///      read: it began it, and has no code that could have been called in between (EIP-7702).
    function _isPlain(address sender) private view returns (bool) {
        return sender == tx.origin && sender.code.length == 0;
    }

    /// @dev Another output is to be proved: whoever signed what stands is slashed. What was reserved
    ///      is to be had from m seats at least. It is reserved for as long as a claim may have to
    ///      stand, and covers others then: for what nobody ended in time, nobody is slashed.
    function _refute(
        Request calldata request,
        Claim calldata claim,
        bytes calldata output,
        bytes calldata evidence
    ) private returns (bytes memory proof) {
        address payee;
        bytes32 outputHash;
        bytes memory quorum;
        (payee, outputHash, quorum, proof) = abi.decode(evidence, (address, bytes32, bytes, bytes));
        bytes32 named = _digest(payee, outputHash);
        if (named != claim.standing) revert WrongClaim(claim.standing, named);
        if (keccak256(output) == outputHash) revert SameOutput(outputHash);
        if (hasCommittedOutput(registry.headerOf(request.modelId))) {
            revert OutputNotUnique(request.modelId);
        }
        (bytes memory members, uint256 places) =
            _checkQuorum(claim.requestId, _epochOf(claim.since), payee, outputHash, quorum);
        if (block.timestamp > claim.since + LONGEST) return proof;
        uint256 count = _count(places);
        uint256 index;
        for (uint256 place; place < _places; ++place) {
            if (places >> place & 1 == 0) continue;
            _slash(request, claim, members, place, index++, count);
        }
    }

    /// @dev The members share compensation and reward; of each at least as much is burned.
    function _slash(
        Request calldata request,
        Claim calldata claim,
        bytes memory members,
        uint256 place,
        uint256 index,
        uint256 count
    ) private {
        (uint256 share, uint256 compensation, uint256 reward) = _shares(request);
        (address owner, uint256 taken) = _take(_epochOf(claim.since), members, place, share);
        if (taken == 0) return;
        compensation = (compensation + index) / count; // these add up to all of it
        reward /= count;
        if (2 * compensation > taken) compensation = taken / 2;
        if (2 * compensation + reward > taken) reward = taken - 2 * compensation;
        vault.slash(
            IStakeVault.Division({
                id: claim.requestId,
                owner: owner,
                amount: taken,
                load: 0,
                consumer: request.requester,
                compensation: compensation,
                challenger: claim.payee,
                reward: reward
            })
        );
    }

    /// @dev What was reserved in epochs whose claims may stand in this one, and the sum of it.
    function _openReserves(uint256 epoch) private view returns (uint256 lanes, uint256 total) {
        uint256 held = _reserves;
        uint256 passed = epoch - (held >> (OPEN_EPOCHS * LANE));
        if (passed < OPEN_EPOCHS) lanes = uint224(held << (LANE * passed));
        for (uint256 left = lanes; left != 0; left >>= LANE) {
            total += uint56(left);
        }
    }

    // --- formulas -------------------------------------------------------------------------------

    /// @dev What a claim reserves of each seat, rounded up; and of it all, compensation and reward.
    function _shares(Request calldata request)
        private
        view
        returns (uint256 share, uint256 compensation, uint256 reward)
    {
        compensation = Terms.wrap(uint256(request.terms)).coverage();
        reward = compensation / REWARD_SHARE;
        share = (2 * compensation + reward + _quorum - 1) / _quorum + 2;
    }

    function _proveClock(Terms terms) private pure returns (uint256 clock) {
        clock = PROVE_FACTOR * terms.proving() + 1 hours;
        if (clock < MIN_PROVE_CLOCK) clock = MIN_PROVE_CLOCK;
    }

    function _digest(address payee, bytes32 outputHash) private pure returns (bytes32) {
        return keccak256(abi.encode(payee, outputHash)) & bytes32(DIGEST_MASK);
    }

    function _verifyMemory(
        Request calldata request,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes memory proof
    ) private view {
        if (!_isUnchanged()) {
            revert VerifierChanged(codeHash, address(verifier).codehash);
        }
        verifier.verify(request.modelId, claim.context, input, output, proof);
    }
}
