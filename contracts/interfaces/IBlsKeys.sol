// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Keys of BLS12-381 for committees of some 25 members and more, and what many signed.
///
/// Keys lie in G2, signatures in G1, encoded as in EIP-2537 (256 and 128 bytes), signed under the
/// suite BLS12381G1_XMD:SHA-256_SSWU_RO_ (RFC 9380). All members of a quorum sign one message, so
/// that their signatures add up to one, which holds for the sum of their keys. A key is taken with a
/// proof that its owner knows its secret, signed under a tag of its own; so nobody can choose a key
/// that cancels others (Ristenpart and Yilek, EUROCRYPT 2007).
///
/// An owner's key is one for ever, and kept on-chain as code. So a committee's keys are pinned by its
/// owners, and their sum is made once; a quorum is then checked by taking away the keys of those who are
/// absent, so that its gas hardly grows with the committee.
interface IBlsKeys {
    event Registered(address indexed owner, bytes key);

    error WrongSize(uint256 expected, uint256 got);
    /// @notice A key, or the sum of a quorum's keys, is no key.
    error AtInfinity();
    /// @notice The key has an owner, or the owner a key.
    error Taken(address owner);
    error NotPossessed(address owner);
    error NoKey(address owner);
    error BlobNotCreated();

    /// @notice Gives the caller a key, for ever. `proof` signs `possessionOf(caller, key)` with it.
    function register(bytes calldata key, bytes calldata proof) external;

    /// @notice The sum of owners' keys; of one who is there twice, twice its key.
    function sum(address[] calldata owners) external view returns (bytes memory total);

    /// @notice Whether all whose keys are in a sum, but the absent, signed a message: as often as
    ///         they are in it. The caller must make sure that `sum` gave that sum, and that the
    ///         absent are in it.
    function signed(
        bytes calldata total,
        address[] calldata absent,
        bytes calldata message,
        bytes calldata signature
    ) external view returns (bool);

    /// @notice What a proof of possession signs.
    function possessionOf(address owner, bytes calldata key) external view returns (bytes memory);

    function hasKey(address owner) external view returns (bool);

    /// @notice Reverts if it has none.
    function keyOf(address owner) external view returns (bytes memory);

    /// @notice Whose key that is, by its hash; zero for nobody's.
    function ownerOf(bytes32 key) external view returns (address);
}
