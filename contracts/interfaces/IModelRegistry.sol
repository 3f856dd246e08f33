// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Models by content. Anyone may register; registering gives no rights, and says nothing
///         about soundness: whoever relies on a model audits its program, or trusts one who has.
///
/// Bytes are kept as contract code, `00 || data`, in chunks of 24,575 data bytes (the last may be
/// shorter), each created with CREATE2 and salt 0: storing is idempotent, and the address is a
/// function of the data.
///
/// A program is its verifier section, then its source (for auditors). The verifier section is
/// 32-byte records, the first of which is the header:
///
///   0      4       6 7 8          10              14           18            22        32
///   +------+-------+-+-+----------+---------------+------------+-------------+---------+
///   | EINP |version|k|K|fixedTiles| verifierBytes | inputBytes | outputBytes | (verif.)|
///   +------+-------+-+-+----------+---------------+------------+-------------+---------+
///
/// Points are x || y, 32 bytes big-endian each: the fixed tiles' commitments (weights, then public
/// tables).
interface IModelRegistry {
    /// @notice New bytes were stored.
    event BlobStored(address indexed chunk, uint256 size);

    /// @notice A model was registered for the first time.
    event ModelRegistered(
        bytes32 indexed modelId,
        address indexed registrant,
        bytes32 programHash,
        bytes32 srsId,
        bytes32 auxHash
    );

    /// @notice The data to store is empty or longer than one chunk.
    error WrongBlobSize(uint256 max, uint256 got);
    /// @notice The chain refused to create the blob (out of gas, most likely).
    error BlobNotCreated();
    /// @notice No blob of ours lies at this address.
    error NotABlob(address chunk);
    /// @notice A chunk before the last is not full.
    error ChunkNotFull(address chunk, uint256 expected, uint256 got);
    /// @notice More chunks than a manifest can name (255 a list).
    error TooManyChunks(uint256 max, uint256 got);
    /// @notice The program is shorter than its header.
    error ProgramTooShort(uint256 min, uint256 got);
    /// @notice The program does not begin with the magic bytes.
    error WrongMagic(bytes4 expected, bytes4 got);
    /// @notice The program's format has another version.
    error WrongVersion(uint256 expected, uint256 got);
    /// @notice Tiles of 2^k cells are not supported for this k.
    error TileSizeOutOfRange(uint256 min, uint256 max, uint256 got);
    /// @notice The verifier section is empty, not a multiple of 32 bytes, or ends past the program.
    error WrongVerifierBytes(uint256 programBytes, uint256 got);

    /// @notice Stores data as contract code; returns at once if it is there already.
    function store(bytes calldata data) external returns (address chunk);

    /// @notice Where `store(data)` puts the data, stored or not.
    function addressOf(bytes calldata data) external view returns (address chunk);

    /// @notice Registers a model from stored chunks, after checking that this registry made them (what
    ///         others made could be deleted, and made anew with other bytes), their shape, every bound
    ///         of the verifier section (BadProgram; a verifier relies on them) and every point. Registering the same content again returns the same id and does nothing.
    /// @param programChunks blobs that hold the program, in order
    /// @param pointChunks blobs that hold the points, in order
    /// @param srsId structured reference string that the points were made with
    /// @param auxHash hash of what else defines the model (tokenizer, sampling, quantiser)
    /// @return modelId keccak256(abi.encode(keccak256("einproof/model/v1"), keccak256(program),
    ///         keccak256(points), srsId, uint256(k), auxHash))
    function register(
        address[] calldata programChunks,
        address[] calldata pointChunks,
        bytes32 srsId,
        bytes32 auxHash
    ) external returns (bytes32 modelId);

    /// @notice Blob with srsId (32 bytes) || k (1) || number of program chunks (1) || number of point
    ///         chunks (1) || their addresses (20 each, program first). Zero if the id is unknown.
    function manifest(bytes32 modelId) external view returns (address);

    /// @notice Whether the id is known.
    function isRegistered(bytes32 modelId) external view returns (bool);

    /// @notice The SRS id of a model.
    function srsIdOf(bytes32 modelId) external view returns (bytes32);

    /// @notice The header: a program's first 32 bytes.
    function headerOf(bytes32 modelId) external view returns (bytes32);

    /// @notice The whole program, for auditors.
    function program(bytes32 modelId) external view returns (bytes memory);

    /// @notice The commitments of the fixed tiles, 64 bytes each, for auditors.
    function points(bytes32 modelId) external view returns (bytes memory);
}
