// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {UnknownModel} from "../types/ProofErrors.sol";

/// @notice A registered model, read from the blobs that its manifest names (IModelRegistry). What
///         the registry has checked is not checked again: the chunks' lengths, the verifier
///         section's bounds, the points.
library Model {
    uint256 private constant CHUNK_BYTES = 24_575;
    /// @dev Places in a manifest: the number of program chunks, and the first chunk's address.
    uint256 private constant COUNT = 33;
    uint256 private constant CHUNKS = 35;

    /// @dev The manifest, whose first word is the SRS id; reverts with UnknownModel.
    function manifest(IModelRegistry registry, bytes32 modelId)
        internal
        view
        returns (bytes memory content)
    {
        address blob = registry.manifest(modelId);
        if (blob == address(0)) revert UnknownModel(modelId);
        uint256 size = blob.code.length - 1;
        content = new bytes(size);
        assembly ("memory-safe") {
            extcodecopy(blob, add(content, 0x20), 1, size)
        }
    }

    /// @dev The verifier section of the program, as long as its header says.
    function section(bytes memory content) internal view returns (bytes memory) {
        uint256 header = uint256(bytes32(_join(content, 0, 32)));
        return _join(content, 0, uint32(header >> (8 * (32 - 14))));
    }

    /// @dev The commitments of the fixed tiles, 64 bytes each.
    function points(bytes memory content, uint256 length) internal view returns (bytes memory) {
        return _join(content, uint8(content[COUNT]), length);
    }

    /// @dev The first `length` bytes of the chunks from `chunk` on.
    function _join(bytes memory content, uint256 chunk, uint256 length)
        private
        view
        returns (bytes memory joined)
    {
        joined = new bytes(length);
        assembly ("memory-safe") {
            let next := add(add(content, add(0x20, CHUNKS)), mul(20, chunk))
            let out := add(joined, 0x20)
            for { let end := add(out, length) } lt(out, end) {} {
                let size := sub(end, out)
                if gt(size, CHUNK_BYTES) { size := CHUNK_BYTES }
                extcodecopy(shr(96, mload(next)), out, 1, size)
                out := add(out, size)
                next := add(next, 20)
            }
        }
    }
}
