// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../../../contracts/interfaces/IAssurance.sol";
import {IInferenceOracle} from "../../../contracts/interfaces/IInferenceOracle.sol";
import {Claim, Request} from "../../../contracts/types/Request.sol";
import {Status} from "../../../contracts/types/Status.sol";

/// @notice A part of a combination whose evidence says what it does: its first byte is returned, whatever
///         it is, after what the second one stands for.
contract ScriptedPart is IAssurance {
    uint8 internal constant BURN = 1;
    uint8 internal constant BOMB = 2;

    IInferenceOracle public immutable oracle;
    bytes32 public constant pin = "scripted part";

    address public target;
    bytes public data;
    bool public replied;
    bytes public reply;
    Request public seen;
    Claim public judged;

    constructor(IInferenceOracle oracle_) {
        oracle = oracle_;
    }

    /// @notice What is called before each verdict.
    function script(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function admit(bytes32, Request calldata) external {}

    function judge(
        Request calldata request,
        Claim calldata claim,
        bytes calldata,
        bytes calldata,
        bytes calldata evidence
    ) external returns (Status) {
        (seen, judged) = (request, claim);
        if (target != address(0)) (replied, reply) = target.call(data);
        uint8 manner = evidence.length > 1 ? uint8(evidence[1]) : 0;
        if (manner == BURN) {
            while (true) {}
        }
        if (manner == BOMB) {
            assembly {
                revert(0, 1000000)
            }
        }
        uint256 said = uint8(evidence[0]);
        assembly {
            mstore(0, said)
            return(0, 32)
        }
    }
}
