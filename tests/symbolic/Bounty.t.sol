// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Bounty} from "../../contracts/assurance/Bounty.sol";
import {IBisectionAssurance} from "../../contracts/interfaces/IBisectionAssurance.sol";
import {IInferenceOracle} from "../../contracts/interfaces/IInferenceOracle.sol";
import {Request} from "../../contracts/types/Request.sol";
import {Status} from "../../contracts/types/Status.sol";
import {VM} from "../invariants/Vm.sol";

/// @notice For halmos (`make halmos`): for all amounts, not for some. It is the oracle and the tier of
///         compositions.
contract BountyProofs {
    address internal constant ANNE = address(0xA22E);
    address internal constant BERT = address(0xBE27);
    address internal constant PAYEE = address(0xFA);
    uint256 internal constant SEGMENTS = 3;

    Bounty internal bounty;
    Status internal status;
    uint256 internal proved;
    bool internal byOne;
    address internal named = address(this);

    function setUp() public {
        bounty = new Bounty(IInferenceOracle(address(this)), IBisectionAssurance(address(this)));
    }

    /// @notice Settled without its proof, or without all of them, an offer returns: each giver's own,
    ///         once, to the wei.
    function check_what_is_not_earned_returns(
        uint96 one,
        uint96 more,
        uint96 other,
        uint8 segments,
        bool composed
    ) public {
        named = composed ? address(this) : ANNE;
        _offered(one, more, other);
        if (segments >= SEGMENTS) return;
        // What is known of the other kind of tier does not matter.
        (status, proved, byOne) =
            composed ? (Status.Final, segments, true) : (Status.Final, SEGMENTS, false);
        assert(!_done(_earning(PAYEE)));
        _returned(ANNE, uint256(one) + more);
        _returned(BERT, other);
        _empty();
    }

    /// @notice All of it is earned by the payee of what was proved, once, and then returns to nobody.
    function check_what_is_earned_is_all_of_it(uint96 one, uint96 more, uint96 other, bool composed)
        public
    {
        named = composed ? address(this) : ANNE;
        _offered(one, more, other);
        (status, proved, byOne) =
            composed ? (Status.Final, SEGMENTS, false) : (Status.Final, 0, true);
        uint256 sum = uint256(one) + more + other;
        assert(!_done(_earning(ANNE)));
        bool done = _done(_earning(PAYEE));
        assert(done == (sum != 0));
        assert(PAYEE.balance == sum);
        assert(!_done(_earning(PAYEE)));
        assert(!_done(abi.encodeCall(bounty.reclaim, (_request(), ANNE))));
        assert(!_done(abi.encodeCall(bounty.reclaim, (_request(), BERT))));
        _empty();
    }

    /// @notice While the request is pending nothing moves.
    function check_nothing_moves_before(uint96 one, uint96 more, uint96 other) public {
        _offered(one, more, other);
        (proved, byOne) = (SEGMENTS, true);
        assert(!_done(_earning(PAYEE)));
        assert(!_done(abi.encodeCall(bounty.reclaim, (_request(), ANNE))));
        assert(address(bounty).balance == uint256(one) + more + other);
    }

    // --- oracle and tier ------------------------------------------------------------------------

    function idOf(Request calldata) external pure returns (bytes32) {
        return "request";
    }

    function statusOf(bytes32) external view returns (Status, bytes32, bool) {
        return (status, _digest(PAYEE), false);
    }

    function wasProved(bytes32) external view returns (bool) {
        return byOne;
    }

    function claimDigest(address payee, bytes calldata) external pure returns (bytes32) {
        return _digest(payee);
    }

    function gameOf(bytes32) external view returns (IBisectionAssurance.Game memory game) {
        game.proved = uint24(proved);
    }

    function segmentCount(bytes32) external pure returns (uint256) {
        return SEGMENTS;
    }

    // --- helpers --------------------------------------------------------------------------------

    function _offered(uint96 one, uint96 more, uint96 other) private {
        status = Status.Open;
        _offer(ANNE, one);
        _offer(BERT, other);
        status = Status.Provisional;
        _offer(ANNE, more);
        assert(bounty.offered("request") == uint256(one) + more + other);
        assert(bounty.givenBy("request", ANNE) == uint256(one) + more);
        assert(address(bounty).balance == uint256(one) + more + other);
    }

    function _offer(address giver, uint256 amount) private {
        VM.deal(giver, amount);
        VM.prank(giver);
        bounty.offer{value: amount}(_request());
    }

    function _returned(address giver, uint256 amount) private {
        uint256 before = giver.balance;
        bool done = _done(abi.encodeCall(bounty.reclaim, (_request(), giver)));
        assert(done == (amount != 0));
        assert(giver.balance - before == amount);
        assert(!_done(abi.encodeCall(bounty.reclaim, (_request(), giver))));
    }

    function _empty() private view {
        assert(bounty.offered("request") == 0);
        assert(address(bounty).balance == 0);
    }

    function _request() private view returns (Request memory request) {
        request.assurance = named;
    }

    function _earning(address payee) private view returns (bytes memory) {
        return abi.encodeCall(bounty.earn, (_request(), payee, "output"));
    }

    function _digest(address payee) private pure returns (bytes32) {
        return bytes32(uint256(uint160(payee)));
    }

    function _done(bytes memory call) private returns (bool done) {
        (done,) = address(bounty).call(call);
    }
}
