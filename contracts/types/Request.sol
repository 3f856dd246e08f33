// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

/// @notice Everything that a request says. The oracle stores none of it: it is logged once, handed
///         back as calldata by whoever acts on the request, and checked against the request id.
/// @param requester the caller of `request`, who is also the target of the callback
/// @param refundTo who gets the payment back if there is no final answer
/// @param modelId the registered model to evaluate
/// @param inputHash keccak256 of the input bytes
/// @param assurance the tier that judges answers (an IAssurance)
/// @param pin what that tier must be vouching with (IAssurance.pin), both now and when it judges
/// @param terms one word for the tier; the Proof tier takes zero only
/// @param fee wei, paid to the payee of the final answer
/// @param callbackGasPrice wei a unit of callback gas, prepaid
/// @param callbackGas gas that the callback is sure to get; 0 for no callback
/// @param deadline last second (block.timestamp) at which an answer counts
/// @param nonce the requester's choice; two requests that differ in nothing else need two nonces
struct Request {
    address requester;
    address refundTo;
    bytes32 modelId;
    bytes32 inputHash;
    address assurance;
    bytes32 pin;
    bytes32 terms;
    uint96 fee;
    uint64 callbackGasPrice;
    uint32 callbackGas;
    uint64 deadline;
    uint256 nonce;
}

/// @notice What a tier is asked to judge, beside the request and the bytes.
/// @param requestId the request's id
/// @param context the word that a proof of this claim must be bound to
/// @param sender who handed the claim in
/// @param payee who is paid if the claim becomes final; where a tier locks stake, it is the payee's
/// @param standing digest of the claim that stands provisionally; zero for the first claim
/// @param since block.timestamp when `standing` was made; zero for the first claim
/// @param digest digest of this claim: equal to `standing` if it is the one that stands
struct Claim {
    bytes32 requestId;
    bytes32 context;
    address sender;
    address payee;
    bytes32 standing;
    uint256 since;
    bytes32 digest;
}
