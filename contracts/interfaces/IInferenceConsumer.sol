// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Status} from "../types/Status.sol";

/// @notice A contract that asks the oracle and is called back with the answer.
interface IInferenceConsumer {
    /// @notice Takes the output of one of this contract's own requests. The oracle calls it
    ///         with Final at most once with success: at the final answer, or at a later retry if it reverted there.
    /// @dev Check that msg.sender is the oracle. Nothing that this call returns is read; a revert
    ///      neither undoes the answer nor withholds the payee's fee.
    /// @param requestId what `request` returned
    /// @param status what the output is worth: Final; for those who asked for it by
    ///        `wantProvisional`, Provisional before, or Retracted or Refunded if it came to nothing
    /// @param output the model's public outputs: int16, big-endian, row-major, in declared order
    function onInference(bytes32 requestId, Status status, bytes calldata output) external;
}
