// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Model} from "../../../contracts/verifier/Model.sol";

/// @notice What the tensor verifier reads of a registered model.
contract ModelHarness {
    IModelRegistry private immutable registry;

    constructor(IModelRegistry registry_) {
        registry = registry_;
    }

    function section(bytes32 modelId) external view returns (bytes memory) {
        return Model.section(Model.manifest(registry, modelId));
    }

    function points(bytes32 modelId, uint256 length) external view returns (bytes memory) {
        return Model.points(Model.manifest(registry, modelId), length);
    }
}
