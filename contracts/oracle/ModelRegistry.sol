// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {
    NonCanonicalCoordinate,
    PointAtInfinity,
    PointNotOnCurve,
    UnknownModel,
    WrongLength
} from "../types/ProofErrors.sol";
import {Programs} from "../verifier/Program.sol";

/// @title Models by content; the rules are in IModelRegistry.
contract ModelRegistry is IModelRegistry {
    bytes32 internal constant FORMAT = keccak256("einproof/model/v1");
    bytes4 internal constant MAGIC = "EINP";
    uint256 internal constant VERSION = 1;
    uint256 internal constant HEADER_BYTES = 32;
    uint256 internal constant MIN_K = 6;
    uint256 internal constant MAX_K = 28;
    uint256 internal constant POINT_BYTES = 64;
    uint256 internal constant MAX_CHUNK_BYTES = 24_575;
    uint256 internal constant MAX_CHUNKS = 255;
    /// @dev PUSH2 size (to be filled in), DUP1, PUSH1 10, RETURNDATASIZE (0), CODECOPY,
    ///      RETURNDATASIZE (0), RETURN; then the code to be: STOP, so that it can never run, and the
    ///      data.
    uint256 internal constant CREATION = 0x61000080600a3d393df300;
    /// @dev Modulus of BN254's base field.
    uint256 internal constant Q =
        0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;

    /// @inheritdoc IModelRegistry
    mapping(bytes32 modelId => address) public manifest;

    /// @inheritdoc IModelRegistry
    function store(bytes calldata data) external returns (address chunk) {
        return _store(data);
    }

    /// @inheritdoc IModelRegistry
    function register(
        address[] calldata programChunks,
        address[] calldata pointChunks,
        bytes32 srsId,
        bytes32 auxHash
    ) external returns (bytes32 modelId) {
        bytes memory program_ = _join(programChunks);
        bytes memory points_ = _join(pointChunks);
        (uint256 k, uint256 fixedTiles) = _checkProgram(program_);
        _checkPoints(points_, fixedTiles);
        bytes32 programHash = keccak256(program_);
        modelId = keccak256(abi.encode(FORMAT, programHash, keccak256(points_), srsId, k, auxHash));
        if (manifest[modelId] != address(0)) return modelId;

        manifest[modelId] = _store(
            abi.encodePacked(
                srsId,
                uint8(k),
                uint8(programChunks.length),
                uint8(pointChunks.length),
                _pack(programChunks),
                _pack(pointChunks)
            )
        );

        emit ModelRegistered(modelId, msg.sender, programHash, srsId, auxHash);
    }

    /// @inheritdoc IModelRegistry
    function addressOf(bytes calldata data) external view returns (address chunk) {
        return _addressOf(_creationCode(data));
    }

    /// @inheritdoc IModelRegistry
    function isRegistered(bytes32 modelId) external view returns (bool) {
        return manifest[modelId] != address(0);
    }

    /// @inheritdoc IModelRegistry
    function srsIdOf(bytes32 modelId) external view returns (bytes32 srsId) {
        address blob = _manifest(modelId);
        assembly ("memory-safe") {
            extcodecopy(blob, 0, 1, 0x20)
            srsId := mload(0)
        }
    }

    /// @inheritdoc IModelRegistry
    function headerOf(bytes32 modelId) external view returns (bytes32 header) {
        address blob = _manifest(modelId);
        assembly ("memory-safe") {
            extcodecopy(blob, 0, 36, 0x20) // the first program chunk is at byte 35, after the STOP
            let chunk := shr(96, mload(0))
            extcodecopy(chunk, 0, 1, 0x20)
            header := mload(0)
        }
    }

    /// @inheritdoc IModelRegistry
    function program(bytes32 modelId) external view returns (bytes memory) {
        (address[] memory programChunks,) = _chunks(modelId);
        return _join(programChunks);
    }

    /// @inheritdoc IModelRegistry
    function points(bytes32 modelId) external view returns (bytes memory) {
        (, address[] memory pointChunks) = _chunks(modelId);
        return _join(pointChunks);
    }

    function _store(bytes memory data) private returns (address chunk) {
        bytes memory creation = _creationCode(data);
        chunk = _addressOf(creation);
        if (chunk.code.length != 0) return chunk;
        address created;
        assembly ("memory-safe") {
            created := create2(0, add(creation, 0x20), mload(creation), 0)
        }
        if (created != chunk) revert BlobNotCreated();
        emit BlobStored(chunk, data.length);
    }

    function _creationCode(bytes memory data) private pure returns (bytes memory) {
        if (data.length == 0 || data.length > MAX_CHUNK_BYTES) {
            revert WrongBlobSize(MAX_CHUNK_BYTES, data.length);
        }
        return abi.encodePacked(uint88(CREATION | ((data.length + 1) << 64)), data);
    }

    function _addressOf(bytes memory creation) private view returns (address) {
        return _created(keccak256(creation));
    }

    /// @dev Where creation code of this hash puts what it makes. That nobody else can put anything
    ///      there, and that what is there has no way to go, is what makes a blob of ours: a stranger's
    ///      contract may be deleted, and made anew with other bytes.
    function _created(bytes32 creationHash) private view returns (address) {
        bytes32 hash =
            keccak256(abi.encodePacked(bytes1(0xff), address(this), bytes32(0), creationHash));
        return address(uint160(uint256(hash)));
    }

    function _manifest(bytes32 modelId) private view returns (address blob) {
        blob = manifest[modelId];
        if (blob == address(0)) revert UnknownModel(modelId);
    }

    /// @dev The data of blobs, end to end.
    function _join(address[] memory chunks) private view returns (bytes memory data) {
        if (chunks.length > MAX_CHUNKS) revert TooManyChunks(MAX_CHUNKS, chunks.length);
        uint256 length;
        for (uint256 i; i < chunks.length; ++i) {
            length += _sizeOf(chunks[i], i + 1 == chunks.length);
        }
        data = new bytes(length);
        uint256 offset = 0x20;
        for (uint256 i; i < chunks.length; ++i) {
            address chunk = chunks[i];
            uint256 size = chunk.code.length - 1;
            bytes32 creation;
            assembly ("memory-safe") {
                let at := add(data, offset)
                extcodecopy(chunk, at, 1, size)
                // The 11 bytes of _creationCode go before the data while both are hashed.
                let kept := mload(sub(at, 0x20))
                mstore(sub(at, 0x20), or(shl(64, add(size, 1)), CREATION))
                creation := keccak256(sub(at, 11), add(size, 11))
                mstore(sub(at, 0x20), kept)
            }
            if (_created(creation) != chunk) revert NotABlob(chunk);
            offset += size;
        }
    }

    /// @dev The size of a blob's data.
    function _sizeOf(address chunk, bool last) private view returns (uint256 size) {
        size = chunk.code.length;
        if (size < 2) revert NotABlob(chunk);
        size -= 1;
        if (!last && size != MAX_CHUNK_BYTES) {
            revert ChunkNotFull(chunk, MAX_CHUNK_BYTES, size);
        }
    }

    function _checkProgram(bytes memory program_)
        private
        pure
        returns (uint256 k, uint256 fixedTiles)
    {
        if (program_.length < HEADER_BYTES) {
            revert ProgramTooShort(HEADER_BYTES, program_.length);
        }
        bytes32 header = bytes32(program_);
        if (bytes4(header) != MAGIC) revert WrongMagic(MAGIC, bytes4(header));
        uint256 version = uint16(bytes2(header << 32));
        if (version != VERSION) revert WrongVersion(VERSION, version);
        k = uint8(header[6]);
        if (k < MIN_K || k > MAX_K) revert TileSizeOutOfRange(MIN_K, MAX_K, k);
        fixedTiles = uint16(bytes2(header << 64));
        uint256 verifierBytes = uint32(bytes4(header << 80));
        if (verifierBytes == 0 || verifierBytes % 32 != 0 || verifierBytes > program_.length) {
            revert WrongVerifierBytes(program_.length, verifierBytes);
        }
        Programs.check(program_, verifierBytes);
    }

    function _checkPoints(bytes memory points_, uint256 count) private pure {
        if (points_.length != count * POINT_BYTES) {
            revert WrongLength(count * POINT_BYTES, points_.length);
        }
        for (uint256 i; i < count; ++i) {
            uint256 x;
            uint256 y;
            assembly ("memory-safe") {
                let point := add(add(points_, 0x20), shl(6, i))
                x := mload(point)
                y := mload(add(point, 0x20))
            }
            if (x >= Q) revert NonCanonicalCoordinate(x);
            if (y >= Q) revert NonCanonicalCoordinate(y);
            if (x | y == 0) revert PointAtInfinity();
            if (mulmod(y, y, Q) != addmod(mulmod(mulmod(x, x, Q), x, Q), 3, Q)) {
                revert PointNotOnCurve(x, y);
            }
        }
    }

    function _pack(address[] calldata chunks) private pure returns (bytes memory packed) {
        uint256 length = 20 * chunks.length;
        packed = new bytes(length + 12); // room for the last word, whose tail is no part of it
        for (uint256 i; i < chunks.length; ++i) {
            address chunk = chunks[i];
            assembly ("memory-safe") {
                mstore(add(add(packed, 0x20), mul(i, 20)), shl(96, chunk))
            }
        }
        assembly ("memory-safe") {
            mstore(packed, length)
        }
    }

    function _chunks(bytes32 modelId)
        private
        view
        returns (address[] memory programChunks, address[] memory pointChunks)
    {
        address[] memory blob = new address[](1);
        blob[0] = _manifest(modelId);
        bytes memory data = _join(blob);
        programChunks = _unpack(data, 35, uint8(data[33]));
        pointChunks = _unpack(data, 35 + 20 * programChunks.length, uint8(data[34]));
    }

    function _unpack(bytes memory data, uint256 start, uint256 count)
        private
        pure
        returns (address[] memory chunks)
    {
        chunks = new address[](count);
        for (uint256 i; i < count; ++i) {
            uint256 where = 0x20 + start + 20 * i;
            address chunk;
            assembly ("memory-safe") {
                chunk := shr(96, mload(add(data, where)))
            }
            chunks[i] = chunk;
        }
    }
}
