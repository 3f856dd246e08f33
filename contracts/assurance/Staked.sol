// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {DIGEST_MASK} from "../types/Record.sol";
import {Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";
import {Terms} from "../types/Terms.sol";
import {Tariff} from "./Tariff.sol";

/// @title Claims that a stake vouches for: which one stands, and how its lock ends.
abstract contract Staked is Tariff {
    /// @dev The output 0x00, one byte: that there is no provable answer.
    bytes32 internal constant UNANSWERABLE = keccak256(hex"00");

    IInferenceOracle public immutable oracle;
    IStakeVault public immutable vault;

    /// @dev The vault names this tier, so it is made for an address where this is deployed next.
    constructor(IInferenceOracle oracle_, IStakeVault vault_) {
        if (!vault_.isTier(address(this))) revert NotATier(address(vault_));
        (oracle, vault) = (oracle_, vault_);
    }

    function _release(Request calldata request, address payee) internal returns (bool suspended) {
        Terms terms = _terms(request);
        return vault.release(payee, _locked(terms), terms.proving());
    }

    function _slash(Request calldata request, bytes32 requestId, address payee, address challenger)
        internal
    {
        Terms terms = _terms(request);
        (uint256 compensation, uint256 reward,) = _split(terms);
        vault.slash(
            IStakeVault.Division({
                id: requestId,
                owner: payee,
                amount: _locked(terms),
                load: terms.proving(),
                consumer: request.requester,
                compensation: compensation,
                challenger: challenger,
                reward: challenger == address(0) ? 0 : reward
            })
        );
    }

    /// @dev The claim that stands, or stood, on a request of this tier.
    function _checkClaim(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        Status expected
    ) internal view returns (bytes32 requestId, uint256 since) {
        if (request.assurance != address(this)) {
            revert WrongTier(address(this), request.assurance);
        }
        requestId = oracle.idOf(request);
        Status status;
        bytes32 standing;
        (status, standing, since) = oracle.claimOf(requestId);
        if (status != expected) revert WrongStatus(requestId, status);
        bytes32 named = _digest(payee, outputHash);
        if (named != standing) revert WrongClaim(standing, named);
    }

    /// @dev InferenceOracle.claimDigest, from the output's hash.
    function _digest(address payee, bytes32 outputHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(payee, outputHash)) & bytes32(DIGEST_MASK);
    }

    function _send(address to, uint256 amount) internal {
        bool success;
        assembly ("memory-safe") {
            success := call(gas(), to, amount, 0, 0, 0, 0)
        }
        if (!success) revert TransferFailed(to, amount);
    }
}
