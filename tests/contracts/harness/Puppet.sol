// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IInferenceConsumer} from "../../../contracts/interfaces/IInferenceConsumer.sol";
import {IInferenceOracle} from "../../../contracts/interfaces/IInferenceOracle.sol";
import {Request} from "../../../contracts/types/Request.sol";
import {Status} from "../../../contracts/types/Status.sol";

/// @notice A consumer, payee or recipient that behaves as it is told when it is called or paid.
contract Puppet is IInferenceConsumer {
    enum Manner {
        Accept,
        Revert,
        Burn,
        Bomb, // reverts with all the return data that its gas can buy
        Reenter
    }

    error Unwilling();

    Manner public manner;
    address public target;
    bytes public data;

    uint256 public calls;
    uint256 public gasSeen;
    bytes32 public lastId;
    Status public lastStatus;
    bytes public lastOutput;
    bool public replied;
    bytes public reply;

    receive() external payable {
        _behave();
    }

    function behave(Manner manner_, address target_, bytes calldata data_) external {
        (manner, target, data) = (manner_, target_, data_);
    }

    function ask(IInferenceOracle oracle, Request calldata request, bytes calldata input)
        external
        payable
        returns (bytes32)
    {
        return oracle.request{value: msg.value}(request, input);
    }

    function withdraw(IInferenceOracle oracle, address to) external {
        oracle.withdraw(to);
    }

    function onInference(bytes32 requestId, Status status, bytes calldata output) external {
        uint256 gasAtStart = gasleft();
        _behave();
        gasSeen = gasAtStart;
        ++calls;
        (lastId, lastStatus, lastOutput) = (requestId, status, output);
    }

    function _behave() private {
        if (manner == Manner.Revert) revert Unwilling();
        if (manner == Manner.Burn) {
            while (true) {}
        }
        if (manner == Manner.Bomb) {
            assembly {
                // Memory costs w^2 / 512 + 3 w: a little less than all the gas there is.
                let words := 64
                for {} lt(add(div(mul(words, words), 512), mul(words, 3)), sub(gas(), 5000)) {
                    words := add(words, 64)
                } {}
                revert(0, mul(32, sub(words, 128)))
            }
        }
        if (manner == Manner.Reenter) (replied, reply) = target.call(data);
    }
}
