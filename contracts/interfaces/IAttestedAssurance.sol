// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IOptimisticAssurance} from "./IOptimisticAssurance.sol";

/// @notice The attested tier: the optimistic one, where an operator's answer must also be signed by a
///         key that measured hardware holds (IAttestationRegistry). Two things must fail before a
///         wrong answer stands: the hardware, and whoever watches the stake. So its window is shorter.
///
/// A TPM's key signs only in the state of the machine that was measured for its enrolment.
///
/// All that IOptimisticAssurance says holds, but for these lines of its table:
///
/// | standing | claim | evidence | what becomes of it |
/// | --- | --- | --- | --- |
/// | none | any | the key (x, y), its signature (r, s): 128 bytes | Provisional: the payee's stake is locked |
/// | none | any | empty | refused |
/// | a claim whose owner's key was revoked since | the same | empty, after its window | Retracted; stake free |
///
/// What a key signs names chain, tier, request, model, input, owner and output: a signature acts on
/// one claim. The owner is the claim's payee.
interface IAttestedAssurance is IOptimisticAssurance {
    /// @notice An answer needs a key's signature, or a proof.
    error NotAttested();
}
