// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ProofAssurance} from "../../contracts/assurance/ProofAssurance.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {ModelRegistry} from "../../contracts/oracle/ModelRegistry.sol";
import {Record, record, settled} from "../../contracts/types/Record.sol";
import {Request} from "../../contracts/types/Request.sol";
import {Status} from "../../contracts/types/Status.sol";
import {EchoVerifier} from "../contracts/harness/EchoVerifier.sol";
import {ScriptedTier} from "../contracts/harness/ScriptedTier.sol";
import {Crowd} from "./Crowd.sol";
import {registerModel} from "./Models.sol";

/// @notice What must hold whatever the crowd does.
contract OracleInvariants {
    InferenceOracle internal oracle;
    Crowd internal crowd;

    error Broken(string what, uint256 expected, uint256 got);

    function setUp() public {
        ModelRegistry registry = new ModelRegistry();
        EchoVerifier verifier = new EchoVerifier("srs");
        oracle = new InferenceOracle();
        crowd = new Crowd(
            oracle,
            new ProofAssurance(verifier, registry),
            new ScriptedTier(),
            registerModel(registry, 0)
        );
    }

    /// @dev forge reads this: it calls the crowd only.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(crowd);
    }

    /// @notice A proof is of one request, and for one payee.
    function invariant_proofs_count_once() public view {
        _same("broken", 0, crowd.broken());
    }

    /// @notice Proofs are used again where nothing else stands in their way: its own makes a request final.
    function test_proofs_used_again_count_for_nothing() public {
        crowd.ask(0, 0, 0, 1 days, true);
        crowd.ask(0, 0, 0, 1 days, true);
        crowd.replay(0, 1, 1, 1);
        crowd.replay(0, 0, 1, 2);
        _same("replays", 2, crowd.replays());
        crowd.answer(0, 1, 1, 0);
        _same("status", uint256(Status.Final), uint256(_status(crowd.requestAt(0))));
        _same("broken", 0, crowd.broken());
    }

    /// @notice The oracle holds what was forced in, what open requests paid, and what is credited:
    ///         so each settled request was paid out once, whole.
    function invariant_balance_is_what_is_owed() public view {
        uint256 owed = crowd.forced();
        for (uint256 i; i < crowd.requestCount(); ++i) {
            Request memory request = crowd.requestAt(i);
            Status status = _status(request);
            if (status == Status.Open || status == Status.Provisional) {
                owed += oracle.cost(request.fee, request.callbackGas, request.callbackGasPrice);
            }
        }
        for (uint256 i; i < 3; ++i) {
            owed += oracle.credit(address(crowd.puppets(i)));
        }
        _same("balance", owed, address(oracle).balance);
    }

    /// @notice Final, Retracted and Refunded are for ever, and no call leaves a request locked.
    function invariant_settled_stays_settled() public view {
        for (uint256 i; i < crowd.requestCount(); ++i) {
            Request memory request = crowd.requestAt(i);
            Status now_ = _status(request);
            Status then = crowd.settledAs(oracle.idOf(request));
            if (then != Status.None) _same("status", uint256(then), uint256(now_));
            if (now_ == Status.Judging || now_ == Status.None) {
                revert Broken("locked or lost", uint256(Status.Open), uint256(now_));
            }
        }
    }

    function testFuzz_record_any_comes_back(uint8 status, bytes32 digest, uint32 since, bool failed)
        public
        pure
    {
        Status wanted = Status(status % 7);
        Record word = record(wanted, digest, since).fail(failed);
        _same("status", uint256(wanted), uint256(word.status()));
        _same("digest", uint256(digest) >> 40, uint256(word.digest()) >> 40);
        _same("low bytes", 0, uint256(word.digest()) & 0xffffffffff);
        _same("since", since, word.since());
        if (word.callbackFailed() != failed) revert Broken("failed", 0, 1);
        if (word.told()) revert Broken("told", 0, 1);
        Record other = word.tell(true).at(Status.Refunded);
        if (!other.told() || other.tell(false).told()) revert Broken("told", 1, 0);
        _same("at", uint256(Status.Refunded), uint256(other.status()));
        _same("digest at", uint256(word.digest()), uint256(other.digest()));
        _same("since at", since, other.since());
        if (word.proved() || other.proved()) revert Broken("proved", 0, 1);
        Record done = settled(digest, failed).fail(!failed);
        if (done.proved() != failed || done.fail(failed).proved() != failed) {
            revert Broken("proved of settled", 1, 0);
        }
        _same("settled", uint256(Status.Final), uint256(done.status()));
        _same("digest settled", uint256(word.digest()), uint256(done.digest()));
        if (done.callbackFailed() == failed) revert Broken("failed of settled", 1, 0);
    }

    function _status(Request memory request) private view returns (Status status) {
        (status,,) = oracle.statusOf(oracle.idOf(request));
    }

    function _same(string memory what, uint256 expected, uint256 got) private pure {
        if (expected != got) revert Broken(what, expected, got);
    }
}
