// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../../../contracts/interfaces/IAssurance.sol";
import {Claim, Request} from "../../../contracts/types/Request.sol";
import {Status} from "../../../contracts/types/Status.sol";

/// @notice A tier whose verdict is the first byte of the evidence, and that may call anyone first.
contract ScriptedTier is IAssurance {
    error NotAdmitted();

    bytes32 public constant pin = "scripted";
    bool public closed;
    bytes public onJudge; // abi.encode(target, calldata), or empty
    bytes public reply;
    bool public replied;
    Claim public judged;

    function close() external {
        closed = true;
    }

    function script(address target, bytes calldata data) external {
        onJudge = abi.encode(target, data);
    }

    function admit(bytes32, Request calldata) external view {
        if (closed) revert NotAdmitted();
    }

    function judge(
        Request calldata,
        Claim calldata claim,
        bytes calldata,
        bytes calldata,
        bytes calldata evidence
    ) external returns (Status) {
        judged = claim;
        if (onJudge.length != 0) {
            (address target, bytes memory data) = abi.decode(onJudge, (address, bytes));
            (replied, reply) = target.call(data);
        }
        return Status(uint8(evidence[0]));
    }
}
