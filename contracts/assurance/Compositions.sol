// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IBisectionAssurance} from "../interfaces/IBisectionAssurance.sol";
import {UnknownModel, WrongSrs} from "../types/ProofErrors.sol";
import {Pinned} from "./Pinned.sol";

/// @title Models made of models, by content.
abstract contract Compositions is Pinned, IBisectionAssurance {
    bytes32 internal constant FORMAT = keccak256("einproof/composition/v1");
    uint256 internal constant MIN_SEGMENTS = 2;
    /// @dev Their ids are one blob, and composing fits a transaction.
    uint256 internal constant MAX_SEGMENTS = 512;

    struct Composition {
        address blob;
        uint96 count;
    }

    mapping(bytes32 modelId => Composition) private _compositions;

    /// @inheritdoc IBisectionAssurance
    function compose(bytes32[] calldata segments) external returns (bytes32 modelId) {
        uint256 count = segments.length;
        if (count < MIN_SEGMENTS || count > MAX_SEGMENTS) {
            revert WrongSegmentCount(MIN_SEGMENTS, MAX_SEGMENTS, count);
        }
        modelId = keccak256(abi.encode(FORMAT, segments));
        if (_compositions[modelId].count != 0) return modelId;
        uint256 written;
        for (uint256 i; i < count; ++i) {
            written = _checkSegment(segments[i], i, written);
        }

        address blob = registry.store(abi.encodePacked(segments));
        _compositions[modelId] = Composition(blob, uint96(count));

        emit Composed(modelId, segments);
    }

    /// @inheritdoc IBisectionAssurance
    function segmentCount(bytes32 modelId) public view returns (uint256) {
        return _compositions[modelId].count;
    }

    /// @inheritdoc IBisectionAssurance
    function segmentAt(bytes32 modelId, uint256 segment) public view returns (bytes32 id) {
        Composition memory composition = _compositions[modelId];
        if (composition.count == 0) revert UnknownModel(modelId);
        if (segment >= composition.count) revert NoSuchPart(composition.count, segment);
        address blob = composition.blob;
        assembly ("memory-safe") {
            extcodecopy(blob, 0, add(1, shl(5, segment)), 0x20) // after the STOP
            id := mload(0)
        }
    }

    /// @dev Header: IModelRegistry draws it. Committed tiles are counted in bytes 22 to 25.
    function _checkSegment(bytes32 id, uint256 segment, uint256 written)
        private
        view
        returns (uint256)
    {
        bytes32 held = registry.srsIdOf(id);
        if (held != srsId) revert WrongSrs(srsId, held);
        bytes32 header = registry.headerOf(id);
        uint256 reads = uint32(bytes4(header << 112));
        if (segment != 0 && reads != written) revert WrongBoundary(segment, written, reads);
        if (uint32(bytes4(header << 176)) != 0) revert CommittedBoundary(segment);
        return uint32(bytes4(header << 144));
    }
}
