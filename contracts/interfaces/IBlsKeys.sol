// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Keys of BLS12-381 for committees of some 24 members and more, and what a quorum signed.
///
/// Keys lie in G2, signatures in G1, encoded as in EIP-2537 (256 and 128 bytes), signed under the
/// suite BLS12381G1_XMD:SHA-256_SSWU_RO_ (RFC 9380). All members of a quorum sign one message, so
/// that their signatures add up to one, which holds for the sum of their keys. A key is taken with a
/// proof that its owner knows its secret, signed under a tag of its own; so nobody can choose a key
/// that cancels others (Ristenpart and Yilek, EUROCRYPT 2007).
///
/// A committee is pinned once: its keys' hashes and their sum, in one word. A quorum is then checked
/// by taking away the keys of those who are absent, so that its gas hardly grows with the committee.
interface IBlsKeys {
    /// @notice A pinned committee, as `pin` returned and logged it.
    /// @param keys hashes of its members' keys, by place
    /// @param sum of its members' keys
    struct Roll {
        bytes32[] keys;
        bytes sum;
    }

    event Registered(address indexed owner, bytes key);
    event Pinned(bytes32 indexed roll, Roll members);

    error WrongSize(uint256 expected, uint256 got);
    /// @notice A key, or the sum of a quorum's keys, is no key.
    error AtInfinity();
    /// @notice The key has an owner, or the owner a key.
    error Taken(address owner);
    error NotPossessed(address owner);
    /// @notice Owners must ascend, so that none is there twice.
    error WrongOrder(address owner);
    error WrongKey(uint256 place, bytes32 expected, bytes32 got);
    error NotPinned(bytes32 roll);
    /// @notice More are absent than there are places.
    error WrongAbsence(uint256 absent);

    /// @notice Gives the caller a key, for ever. `proof` signs `possessionOf(caller, key)` with it.
    function register(bytes calldata key, bytes calldata proof) external;

    /// @notice Pins a committee: owners ascending, each with its key. By anyone; what is pinned says
    ///         only that these keys are theirs.
    function pin(address[] calldata owners, bytes[] calldata keys) external returns (bytes32 roll);

    /// @notice Whether all members of a pinned roll but the absent signed a message.
    /// @param absent a bit a place
    /// @param keys of the absent, places ascending
    /// @return present how many signed; 0 if the signature is not theirs
    function signers(
        Roll calldata members,
        uint256 absent,
        bytes[] calldata keys,
        bytes calldata message,
        bytes calldata signature
    ) external view returns (uint256 present);

    /// @notice What a proof of possession signs.
    function possessionOf(address owner, bytes calldata key) external view returns (bytes memory);

    /// @notice The hash of an owner's key; zero for none.
    function keyOf(address owner) external view returns (bytes32);

    function ownerOf(bytes32 key) external view returns (address);

    function isPinned(bytes32 roll) external view returns (bool);
}
