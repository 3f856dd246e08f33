// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";

/// @notice Contracts ask for inferences; anyone answers; the tier that the request names judges.
///
/// Money. A request pays fee + callbackGas * callbackGasPrice, exactly, and that sum is settled
/// once: to the payee of the final answer in full, or to refundTo in full. The prepaid callback is
/// a price and not a meter: it is earned whole whether the callback spends its gas or not, and
/// whether it succeeds or not, so there is no surplus, no rounding and no use in burning gas.
/// Payments are sent with little gas; what a recipient does not take is credited to it and waits
/// for `withdraw`. Nobody has any other right over funds or results; ETH forced in stays.
///
/// Ids. requestId = keccak256(abi.encode(chainId, oracle, the twelve fields of the request)).
/// context = keccak256(abi.encode(chainId, oracle, requestId, modelId, inputHash, payee)).
interface IInferenceOracle {
    /// @notice A request was paid for. Says all there is to know about it.
    event Requested(
        bytes32 indexed requestId,
        bytes32 indexed modelId,
        address indexed requester,
        Request request,
        bytes input
    );

    /// @notice A claim stands: provisionally, or for good (and its payee was paid).
    event Answered(bytes32 indexed requestId, address indexed payee, Status status, bytes output);

    /// @notice The consumer was called: it took the output, or it failed and can be retried.
    event CalledBack(bytes32 indexed requestId, bool delivered);

    /// @notice A consumer took a provisional claim, or that it took has been given back.
    event Delivered(bytes32 indexed requestId, Status status);

    /// @notice A requester wants provisional answers too, or no more.
    event ProvisionalWanted(address indexed requester, bool wanted);

    /// @notice The payment went back: after the deadline (Refunded), or by its tier (Retracted).
    event Returned(
        bytes32 indexed requestId, address indexed refundTo, Status status, uint256 amount
    );

    /// @notice A recipient did not take a payment; it waits for `withdraw`.
    event Credited(address indexed account, uint256 amount);

    /// @notice A waiting payment was withdrawn.
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    /// @notice A request names another requester than its sender.
    error WrongRequester(address expected, address got);
    /// @notice The input is empty or too long.
    error WrongInputSize(uint256 max, uint256 got);
    /// @notice The input bytes do not hash to the request's inputHash.
    error WrongInput(bytes32 expected, bytes32 got);
    /// @notice The output is empty or too long.
    error WrongOutputSize(uint256 max, uint256 got);
    /// @notice The value sent is not what the request costs.
    error WrongPayment(uint256 expected, uint256 got);
    /// @notice A request may not prepay that much callback gas.
    error CallbackGasTooHigh(uint256 max, uint256 got);
    /// @notice The deadline is already over, or more than 30 days away.
    error DeadlineOutOfRange(uint256 earliest, uint256 latest, uint256 got);
    /// @notice The zero address cannot be paid.
    error ZeroAddress();
    /// @notice The tier's address has no code.
    error NotAContract(address got);
    /// @notice The very same request was made before.
    error DuplicateRequest(bytes32 requestId);
    /// @notice The request's status does not allow this (None: no such request, or a wrong field).
    error WrongStatus(bytes32 requestId, Status got);
    /// @notice Too late to answer.
    error DeadlinePassed(uint256 deadline, uint256 timestamp);
    /// @notice Too early for a refund: possible after `deadline`.
    error DeadlineNotPassed(uint256 deadline, uint256 timestamp);
    /// @notice A tier judged with a status that is no verdict.
    error WrongVerdict(Status got);
    /// @notice Too little gas left to give the callback what was prepaid.
    error NotEnoughGas(uint256 expected, uint256 got);
    /// @notice There is no failed callback to retry.
    error NothingToRetry(bytes32 requestId);
    /// @notice These are not the payee and the output of the final answer.
    error WrongClaim(bytes32 expected, bytes32 got);
    /// @notice The consumer failed again.
    error CallbackFailed(bytes32 requestId);
    /// @notice The requester wants final answers only.
    error NotWanted(address requester);
    /// @notice The consumer was told already, or was never told what went back.
    error NothingToDeliver(bytes32 requestId);
    /// @notice Nothing waits for this account.
    error NothingToWithdraw(address account);
    /// @notice The recipient of a withdrawal refused it.
    error TransferFailed(address to, uint256 amount);

    /// @notice Asks for an inference. Send exactly `cost` of it.
    /// @param request its fields; requester must be the sender, inputHash the hash of `input`
    /// @param input 1 to 24,000 bytes; they are logged, not stored
    function request(Request calldata request, bytes calldata input)
        external
        payable
        returns (bytes32 requestId);

    /// @notice Claims an answer; anyone may send it, the payee is the one that the evidence is bound
    ///         to. The tier judges: a refused claim reverts with the tier's error and costs nothing
    ///         but its gas. A final claim pays the payee and calls the consumer back with exactly
    ///         the prepaid gas, or reverts if too little is left for that; what the consumer then
    ///         does changes nothing but whether a retry is possible.
    /// @param request the fields as logged
    /// @param input the input as logged
    /// @param payee who earns the fee and the prepaid callback
    /// @param output 1 to 24,000 bytes
    /// @param evidence what the tier asks for; for the Proof tier, the proof
    function answer(
        Request calldata request,
        bytes calldata input,
        address payee,
        bytes calldata output,
        bytes calldata evidence
    ) external;

    /// @notice Gives the payment of an unanswered request back, after its deadline; by anyone. A
    ///         request whose claim is still provisional 7 days after its deadline goes back too.
    function refund(Request calldata request) external;

    /// @notice Calls a consumer again whose callback failed; by anyone, with all the gas sent, which
    ///         must allow for what was prepaid. Reverts if it fails again.
    function retryCallback(Request calldata request, address payee, bytes calldata output) external;

    /// @notice Whether the caller's requests may be answered provisionally too (`deliver`). No by
    ///         default: what is provisional can still be withdrawn.
    function wantProvisional(bool wanted) external;

    /// @notice Calls a consumer that wants it, by anyone and with all the gas sent: with the claim that
    ///         stands (Status.Provisional), once; and if that is given back later, once more with the
    ///         same claim and the status it came to. Reverts if the consumer does. A final answer
    ///         comes by the prepaid callback only.
    function deliver(Request calldata request, address payee, bytes calldata output) external;

    function wantsProvisional(address requester) external view returns (bool);

    /// @notice Sends what is credited to the caller on to `to`.
    function withdraw(address to) external returns (uint256 amount);

    /// @notice What waits for an account.
    function credit(address account) external view returns (uint256);

    /// @notice What a request must pay, in wei: fee + callbackGas * callbackGasPrice.
    function cost(uint96 fee, uint32 callbackGas, uint64 callbackGasPrice)
        external
        pure
        returns (uint256);

    /// @notice The id of a request, made or not.
    function idOf(Request calldata request) external view returns (bytes32 requestId);

    /// @notice The word that a proof for this request and payee must be bound to.
    function contextOf(Request calldata request, address payee) external view returns (bytes32);

    /// @notice The digest of a claim: keccak256(abi.encode(payee, keccak256(output))), low 5 bytes
    ///         cleared.
    function claimDigest(address payee, bytes calldata output) external pure returns (bytes32);

    /// @notice Where a request stands, the digest of its claim (zero if none), and whether its
    ///         callback failed and waits for a retry.
    function statusOf(bytes32 requestId)
        external
        view
        returns (Status status, bytes32 digest, bool callbackFailed);

    /// @notice The claim that stands, or stood when the request ended: its digest (zero if none) and
    ///         the second at which it became provisional (zero if it never was).
    function claimOf(bytes32 requestId)
        external
        view
        returns (Status status, bytes32 digest, uint256 since);

    /// @notice Whether evidence made a claim final: a proof of it, under the tiers of this project but for
    ///         compositions, which `IBisectionAssurance.gameOf` tells of. Never changes once the request is
    ///         settled.
    function wasProved(bytes32 requestId) external view returns (bool);

    /// @notice The chain id that ids and contexts are bound to: the chain's, when it was deployed.
    function chainId() external view returns (uint256);
}
