// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {ICombinedAssurance} from "../interfaces/ICombinedAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {Claim, Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";
import {TERMS_BITS} from "../types/Terms.sol";

/// @title Several tiers as one; the rules are in ICombinedAssurance.
/// @notice Trusts its oracle, and of each part no more than what concerns that part's own stake: a part
///         that reverts or burns gas keeps claims from becoming final, until they are refunded.
contract CombinedAssurance is ICombinedAssurance {
    uint256 internal constant LEAST_PARTS = 2;
    uint256 internal constant MOST_PARTS = 4;
    /// @dev W_max: InferenceOracle.MAX_CONTEST.
    uint256 internal constant MAX_CONTEST = 7 days;
    /// @dev Coverage and proving time (types/Terms.sol): what a request states for all parts.
    uint256 internal constant SHARED = 2 ** 55 - 1;
    bytes1 internal constant ALL = 0x00;

    IInferenceOracle public immutable oracle;
    /// @inheritdoc ICombinedAssurance
    uint256 public immutable count;
    /// @inheritdoc IAssurance
    bytes32 public immutable pin;
    /// @dev What is fixed of a part's terms, above its address; and its pin.
    ///
    ///   255        182 181            160 159             0
    ///  +--------------+-----------------+-----------------+
    ///  | zero         | terms >> 55     | address (160)   |
    ///  +--------------+-----------------+-----------------+
    uint256 internal immutable _part0;
    uint256 internal immutable _part1;
    uint256 internal immutable _part2;
    uint256 internal immutable _part3;
    bytes32 internal immutable _pin0;
    bytes32 internal immutable _pin1;
    bytes32 internal immutable _pin2;
    bytes32 internal immutable _pin3;

    /// @dev Of a claim that stood and was given back: in which parts it has ended, a bit each, and the
    ///      last second to end it in the others here.
    struct Rest {
        uint64 until;
        uint8 ended;
    }

    mapping(bytes32 requestId => Rest) private _rests;

    /// @param parts made before, for the address where this is deployed
    constructor(IInferenceOracle oracle_, Part[] memory parts) {
        if (parts.length < LEAST_PARTS || parts.length > MOST_PARTS) {
            revert WrongCount(LEAST_PARTS, MOST_PARTS, parts.length);
        }
        uint256[MOST_PARTS] memory words;
        bytes32[MOST_PARTS] memory pins;
        for (uint256 i; i < parts.length; ++i) {
            uint256 fixed_ = uint256(parts[i].terms);
            bool good = fixed_ & SHARED == 0 && fixed_ >> TERMS_BITS == 0
                && address(ICombinedAssurance(parts[i].tier).oracle()) == address(this)
                && !_isCombination(parts[i].tier);
            for (uint256 j; j < i; ++j) {
                good = good && parts[j].tier != parts[i].tier;
            }
            if (!good) revert WrongPart(parts[i]);
            words[i] = uint256(uint160(parts[i].tier)) | fixed_ << 105;
            pins[i] = IAssurance(parts[i].tier).pin();
        }
        (oracle, count, pin) = (oracle_, parts.length, keccak256(abi.encode(parts, pins)));
        (_part0, _part1, _part2, _part3) = (words[0], words[1], words[2], words[3]);
        (_pin0, _pin1, _pin2, _pin3) = (pins[0], pins[1], pins[2], pins[3]);
    }

    /// @inheritdoc IAssurance
    function admit(bytes32 requestId, Request calldata request) external {
        if (msg.sender != address(oracle)) revert OnlyOracle(address(oracle), msg.sender);
        if (request.pin != pin) revert WrongPin(request.pin, pin);
        if (uint256(request.terms) & ~SHARED != 0) {
            revert WrongTerms(bytes32(uint256(request.terms) & SHARED), request.terms);
        }
        for (uint256 i; i < count; ++i) {
            (IAssurance part, Request memory seen) = _seenBy(request, i);
            part.admit(requestId, seen);
        }
    }

    /// @inheritdoc IAssurance
    function judge(
        Request calldata request,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes calldata evidence
    ) external returns (Status verdict) {
        if (msg.sender != address(oracle)) {
            revert OnlyOracle(address(oracle), msg.sender);
        }
        bool stands = claim.standing != 0;
        if (evidence.length != 0 && evidence[0] != ALL) {
            uint256 part = uint8(evidence[0]) - 1;
            if (stands) _giveBack(request, claim.requestId, 1 << part);
            verdict = _ask(part, request, claim, input, output, evidence[1:]);
            if (verdict != Status.Retracted) revert WrongVerdict(_tier(part), verdict);
            emit Failed(claim.requestId, _tier(part));
            return verdict;
        }
        bytes[] memory each = _split(evidence, stands);
        verdict = _ask(0, request, claim, input, output, each[0]);
        bool known = verdict == Status.Final || verdict == Status.Retracted
            || (verdict == Status.Provisional && !stands);
        if (!known) revert WrongVerdict(_tier(0), verdict);
        for (uint256 i = 1; i < count; ++i) {
            Status next = _ask(i, request, claim, input, output, each[i]);
            if (next != verdict) revert Disagreement(_tier(i), verdict, next);
        }
        if (stands && verdict == Status.Retracted) {
            _giveBack(request, claim.requestId, (1 << count) - 1);
        }
    }

    /// @inheritdoc ICombinedAssurance
    function conclude(
        Request calldata request,
        uint256 part,
        bytes calldata input,
        address payee,
        bytes calldata output,
        bytes calldata evidence
    ) external returns (Status verdict) {
        if (request.assurance != address(this)) {
            revert WrongTier(address(this), request.assurance);
        }
        bytes32 requestId = oracle.idOf(request);
        (Status status, bytes32 standing, uint256 since) = oracle.claimOf(requestId);
        bool open =
            status == Status.Retracted && _restOf(requestId, standing, part) == Status.Provisional;
        if (!open) revert NothingToConclude(requestId, _tier(part));
        if (keccak256(input) != request.inputHash) {
            revert WrongInput(request.inputHash, keccak256(input));
        }

        _rests[requestId].ended |= uint8(1 << part);

        verdict = _ask(
            part,
            request,
            Claim({
                requestId: requestId,
                context: oracle.contextOf(request, payee),
                sender: msg.sender,
                payee: payee,
                standing: standing,
                since: since,
                digest: oracle.claimDigest(payee, output)
            }),
            input,
            output,
            evidence
        );
        if (verdict != Status.Final && verdict != Status.Retracted) {
            revert WrongVerdict(_tier(part), verdict);
        }

        emit Concluded(requestId, _tier(part), verdict);
    }

    // --- views ------------------------------------------------------------------------------------

    /// @inheritdoc ICombinedAssurance
    function partAt(uint256 index) external view returns (Part memory) {
        (uint256 word,) = _part(index);
        return Part(address(uint160(word)), bytes32(_fixed(word)));
    }

    /// @inheritdoc ICombinedAssurance
    function requestFor(Request calldata request, uint256 part)
        external
        view
        returns (Request memory seen)
    {
        if (request.assurance != address(this)) {
            revert WrongTier(address(this), request.assurance);
        }
        (, seen) = _seenBy(request, part);
    }

    /// @inheritdoc ICombinedAssurance
    function idOf(Request calldata request) external view returns (bytes32) {
        return oracle.idOf(_whole(request));
    }

    /// @inheritdoc ICombinedAssurance
    function contextOf(Request calldata request, address payee) external view returns (bytes32) {
        return oracle.contextOf(_whole(request), payee);
    }

    /// @inheritdoc ICombinedAssurance
    function claimOf(bytes32 requestId)
        external
        view
        returns (Status status, bytes32 digest, uint256 since)
    {
        uint256 part = _indexOf(msg.sender);
        return part < count ? claimFor(requestId, part) : oracle.claimOf(requestId);
    }

    /// @inheritdoc ICombinedAssurance
    function claimFor(bytes32 requestId, uint256 part)
        public
        view
        returns (Status status, bytes32 digest, uint256 since)
    {
        (status, digest, since) = oracle.claimOf(requestId);
        if (status == Status.Retracted) status = _restOf(requestId, digest, part);
    }

    // --- parts ------------------------------------------------------------------------------------

    function _ask(
        uint256 index,
        Request calldata request,
        Claim memory claim,
        bytes calldata input,
        bytes calldata output,
        bytes memory evidence
    ) private returns (Status) {
        (IAssurance part, Request memory seen) = _seenBy(request, index);
        return part.judge(seen, claim, input, output, evidence);
    }

    /// @dev The claim goes back to its requester; it has ended in these parts.
    function _giveBack(Request calldata request, bytes32 requestId, uint256 ended) private {
        _rests[requestId] = Rest(uint64(request.deadline + MAX_CONTEST), uint8(ended));
    }

    /// @dev Where a claim that was given back stands for one part.
    function _restOf(bytes32 requestId, bytes32 standing, uint256 part)
        private
        view
        returns (Status)
    {
        Rest memory rest = _rests[requestId];
        bool ended = rest.until == 0 || rest.ended >> part & 1 != 0;
        if (standing == 0 || ended) return Status.Retracted;
        return block.timestamp > rest.until ? Status.Refunded : Status.Provisional;
    }

    /// @dev Each part's evidence. Where a claim stands, some has to be there: a claim that evidence makes
    ///      final is a proved one, to whoever looks no further (Bounty).
    function _split(bytes calldata evidence, bool stands)
        private
        view
        returns (bytes[] memory each)
    {
        if (evidence.length == 0) return new bytes[](count);
        each = abi.decode(evidence[1:], (bytes[]));
        if (each.length != count) revert WrongEvidence(count, each.length);
        uint256 total;
        for (uint256 i; i < count; ++i) {
            total += each[i].length;
        }
        if (stands && total == 0) revert NoEvidence();
    }

    /// @dev One within another would have two ends for one lock.
    function _isCombination(address tier) private view returns (bool answers) {
        (answers,) = tier.staticcall(abi.encodeCall(ICombinedAssurance.count, ()));
    }

    function _seenBy(Request calldata request, uint256 index)
        private
        view
        returns (IAssurance part, Request memory seen)
    {
        (uint256 word, bytes32 pin_) = _part(index);
        part = IAssurance(address(uint160(word)));
        seen = request;
        (seen.assurance, seen.pin) = (address(part), pin_);
        seen.terms = bytes32(uint256(request.terms) | _fixed(word));
    }

    /// @dev The request to this contract that a part sees so, and no other.
    function _whole(Request calldata seen) private view returns (Request memory whole) {
        uint256 index = _indexOf(seen.assurance);
        if (index == count) revert NotAPart(seen.assurance);
        (uint256 word, bytes32 pin_) = _part(index);
        if (seen.pin != pin_) revert WrongPin(pin_, seen.pin);
        uint256 shared = uint256(seen.terms) & SHARED;
        bytes32 expected = bytes32(shared | _fixed(word));
        if (seen.terms != expected) revert WrongTerms(expected, seen.terms);
        whole = seen;
        (whole.assurance, whole.pin, whole.terms) = (address(this), pin, bytes32(shared));
    }

    /// @dev `count` for what is no part.
    function _indexOf(address tier) private view returns (uint256 index) {
        while (index < count && _tier(index) != tier) ++index;
    }

    function _tier(uint256 index) private view returns (address) {
        (uint256 word,) = _part(index);
        return address(uint160(word));
    }

    function _part(uint256 index) private view returns (uint256 word, bytes32 pin_) {
        if (index >= count) revert NoSuchPart(count, index);
        if (index == 0) return (_part0, _pin0);
        if (index == 1) return (_part1, _pin1);
        if (index == 2) return (_part2, _pin2);
        return (_part3, _pin3);
    }

    function _fixed(uint256 word) private pure returns (uint256) {
        return word >> 160 << 55;
    }
}
