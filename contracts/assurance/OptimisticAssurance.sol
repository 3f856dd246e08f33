// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../interfaces/IAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IOptimisticAssurance} from "../interfaces/IOptimisticAssurance.sol";
import {IStakeVault} from "../interfaces/IStakeVault.sol";
import {ITensorVerifier} from "../interfaces/ITensorVerifier.sol";
import {Lock} from "../types/Lock.sol";
import {UnknownModel} from "../types/ProofErrors.sol";
import {DIGEST_MASK} from "../types/Record.sol";
import {Claim, Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";
import {Terms} from "../types/Terms.sol";

/// @title Answer at once, vouch with stake, prove or lose; the rules are in IOptimisticAssurance.
/// @notice Trusts its oracle, its vault and its verifier, all fixed, and calls nobody else but to pay
///         a bond out, last.
contract OptimisticAssurance is IOptimisticAssurance {
    /// @dev W_max: InferenceOracle.MAX_CONTEST. Window and prove clock end well before.
    uint256 internal constant MAX_CONTEST = 7 days;
    uint256 internal constant MIN_PROVE_CLOCK = 2 hours;
    uint256 internal constant PROVE_FACTOR = 8;
    /// @dev What every clock has above proving time and inclusion delay.
    uint256 internal constant MARGIN = 1 hours;
    uint256 internal constant REVEAL_TIME = 1 days;
    uint256 internal constant REWARD_SHARE = 10;
    uint256 internal constant REWARD_FACTOR = 3;
    bytes32 internal constant UNANSWERABLE = keccak256(hex"00");

    IInferenceOracle public immutable oracle;
    ITensorVerifier public immutable verifier;
    IModelRegistry public immutable registry;
    IStakeVault public immutable vault;
    bytes32 public immutable codeHash;
    bytes32 public immutable srsId;
    /// @inheritdoc IAssurance
    bytes32 public immutable pin;

    uint256 internal immutable _windowSmall;
    uint256 internal immutable _windowLarge;
    uint256 internal immutable _largeCoverage;
    uint256 internal immutable _inclusionDelay;
    uint256 internal immutable _challengerCost;
    uint256 internal immutable _verifyCost;
    uint256 internal immutable _provingPrice;

    mapping(bytes32 requestId => Case) private _cases;
    mapping(bytes32 requestId => Challenge[]) private _challenges;

    /// @dev The vault names this tier, so it is made for an address where this is deployed next.
    constructor(
        IInferenceOracle oracle_,
        ITensorVerifier verifier_,
        IModelRegistry registry_,
        IStakeVault vault_,
        Parameters memory parameters
    ) {
        uint256 shortest = MARGIN + parameters.inclusionDelay;
        if (
            parameters.window < shortest || parameters.largeWindow < parameters.window
                || parameters.verifyGas == 0 || parameters.gasPriceCap == 0
                || parameters.challengerCost == 0
        ) revert WrongParameters();
        if (!vault_.isTier(address(this))) revert NotATier(address(vault_));
        (oracle, verifier, registry, vault) = (oracle_, verifier_, registry_, vault_);
        codeHash = address(verifier_).codehash;
        srsId = verifier_.srsId();
        pin = keccak256(abi.encode(verifier, codeHash, srsId));
        _windowSmall = parameters.window;
        _windowLarge = parameters.largeWindow;
        _largeCoverage = parameters.largeCoverage;
        _inclusionDelay = parameters.inclusionDelay;
        _challengerCost = parameters.challengerCost;
        _verifyCost = uint256(parameters.verifyGas) * parameters.gasPriceCap;
        _provingPrice = parameters.provingPrice;
    }

    // --- the oracle asks ------------------------------------------------------------------------

    /// @inheritdoc IAssurance
    function admit(bytes32, Request calldata request) external view {
        if (request.pin != pin) revert WrongPin(request.pin, pin);
        Terms terms = _terms(request);
        if (!terms.isComplete()) revert MalformedTerms(request.terms);
        uint256 least = _leastWindow(terms);
        uint256 window = _window(terms);
        if (window < least) revert WindowTooShort(least, window);
        uint256 most = MAX_CONTEST - MARGIN - _inclusionDelay;
        uint256 contest = window + _proveClock(terms);
        if (contest > most) revert ContestTooLong(most, contest);
        if (!registry.isRegistered(request.modelId)) revert UnknownModel(request.modelId);
    }

    /// @inheritdoc IAssurance
    function judge(
        Request calldata request,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes calldata evidence
    ) external returns (Status) {
        if (msg.sender != address(oracle)) {
            revert OnlyOracle(address(oracle), msg.sender);
        }
        if (claim.standing == 0) {
            if (evidence.length == 0) return _post(request, claim);
            _verify(request, claim, input, output, evidence);
            return Status.Final;
        }
        if (claim.digest != claim.standing) {
            bytes calldata proof = _checkOther(claim, output, evidence);
            _verify(request, claim, input, output, proof);
            return _overturn(request, claim.requestId, keccak256(output));
        }
        if (evidence.length == 0) return _settle(request, claim.requestId, output);
        _verify(request, claim, input, output, evidence);
        return _uphold(request, claim);
    }

    // --- anyone ---------------------------------------------------------------------------------

    /// @inheritdoc IOptimisticAssurance
    function dispute(
        Request calldata request,
        address payee,
        bytes32 outputHash,
        bytes32 commitment
    ) external payable returns (uint256 index) {
        bytes32 requestId = oracle.idOf(request);
        _checkStanding(requestId, payee, outputHash);
        if (outputHash == UNANSWERABLE) revert NothingToProve(requestId);
        (Lock lock, bool suspended) = vault.contest(requestId);
        Terms terms = _terms(request);
        uint256 due = suspended ? 0 : _bond(terms);
        if (msg.value < due) revert BondTooLow(due, msg.value);
        if (msg.value > type(uint96).max) revert BondTooHigh(type(uint96).max, msg.value);
        Case storage case_ = _cases[requestId];
        uint256 proveBy = case_.proveBy == 0 ? block.timestamp + _proveClock(terms) : case_.proveBy;
        uint256 until = lock.since() + _window(terms);
        if (!suspended && block.timestamp > until) revert TooLate(until, block.timestamp);
        if (block.timestamp > proveBy) revert TooLate(proveBy, block.timestamp);
        // Within the window this holds (see `admit`); a suspended operator's claims know no window.
        until = request.deadline + MAX_CONTEST;
        if (proveBy > until) revert TooLate(until, proveBy);
        index = _challenges[requestId].length;

        case_.proveBy = uint40(proveBy);
        _challenges[requestId].push(Challenge(msg.sender, uint96(msg.value), commitment));

        emit Disputed(requestId, index, msg.sender, msg.value, commitment, proveBy);
    }

    /// @inheritdoc IOptimisticAssurance
    function reveal(bytes32 requestId, uint256 index, bytes32 salt) external {
        Case storage case_ = _cases[requestId];
        if (case_.outcome != Outcome.Overturned) revert WrongOutcome(case_.outcome);
        if (block.timestamp > case_.revealBy) revert TooLate(case_.revealBy, block.timestamp);
        Challenge storage challenge = _challenges[requestId][index];
        bytes32 opened = commitmentOf(requestId, challenge.challenger, case_.proved, salt);
        if (opened != challenge.commitment) revert WrongCommitment(challenge.commitment, opened);
        uint256 winner = case_.winner;
        if (winner != 0 && winner <= index + 1) revert NothingLeft(requestId, index);

        case_.winner = uint32(index + 1);

        emit Revealed(requestId, index);
    }

    /// @inheritdoc IOptimisticAssurance
    function award(bytes32 requestId) external {
        Case storage case_ = _cases[requestId];
        if (case_.outcome != Outcome.Overturned) revert WrongOutcome(case_.outcome);
        (uint256 winner, uint256 reward) = (case_.winner, case_.reward);
        if (winner != 1 && block.timestamp <= case_.revealBy) {
            revert TooEarly(case_.revealBy, block.timestamp);
        }
        if (winner == 0 || reward == 0) revert NothingLeft(requestId, winner);
        address challenger = _challenges[requestId][winner - 1].challenger;

        case_.reward = 0;

        emit Awarded(requestId, challenger, reward);

        vault.pay(challenger, reward);
    }

    /// @inheritdoc IOptimisticAssurance
    function collect(bytes32 requestId, uint256 index) external {
        Case storage case_ = _cases[requestId];
        Outcome outcome = case_.outcome;
        if (outcome == Outcome.None) revert WrongOutcome(outcome);
        Challenge storage challenge = _challenges[requestId][index];
        uint256 amount = challenge.bond;
        address to = challenge.challenger;
        if (outcome == Outcome.Upheld) {
            if (index != 0) revert NothingLeft(requestId, index);
            if (amount > case_.cost) amount = case_.cost;
            to = case_.payee;
        }
        if (amount == 0) revert NothingLeft(requestId, index);

        challenge.bond = 0;

        emit BondCollected(requestId, index, to, amount);

        _send(to, amount);
    }

    /// @inheritdoc IOptimisticAssurance
    function close(Request calldata request) external {
        bytes32 requestId = oracle.idOf(request);
        (Status status,,) = oracle.statusOf(requestId);
        if (status != Status.Refunded) revert WrongStatus(requestId, status);
        (Lock lock,) = vault.lockOf(address(this), requestId);
        if (lock.contested()) _lapse(request, requestId);
        else vault.release(requestId);
    }

    // --- views ----------------------------------------------------------------------------------

    /// @inheritdoc IOptimisticAssurance
    function bond(bytes32 terms) external view returns (uint256) {
        return _bond(Terms.wrap(uint256(terms)));
    }

    /// @inheritdoc IOptimisticAssurance
    function split(bytes32 terms)
        external
        view
        returns (uint256 compensation, uint256 reward, uint256 burn)
    {
        return _split(Terms.wrap(uint256(terms)));
    }

    /// @inheritdoc IOptimisticAssurance
    function clocks(bytes32 terms) external view returns (uint256 window, uint256 prove) {
        return (_window(Terms.wrap(uint256(terms))), _proveClock(Terms.wrap(uint256(terms))));
    }

    /// @inheritdoc IOptimisticAssurance
    function caseOf(bytes32 requestId) external view returns (Case memory) {
        return _cases[requestId];
    }

    /// @inheritdoc IOptimisticAssurance
    function challengeCount(bytes32 requestId) external view returns (uint256) {
        return _challenges[requestId].length;
    }

    /// @inheritdoc IOptimisticAssurance
    function challengeAt(bytes32 requestId, uint256 index)
        external
        view
        returns (Challenge memory)
    {
        return _challenges[requestId][index];
    }

    /// @inheritdoc IOptimisticAssurance
    function commitmentOf(bytes32 requestId, address challenger, bytes32 outputHash, bytes32 salt)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(address(this), requestId, challenger, outputHash, salt));
    }

    // --- verdicts -------------------------------------------------------------------------------

    /// @dev An operator answers: the sender's stake vouches. All proofs that could be demanded of it at
    ///      once take half the prove clock at most.
    function _post(Request calldata request, Claim calldata claim) private returns (Status) {
        Terms terms = _terms(request);
        (uint256 compensation, uint256 reward, uint256 burn) = _split(terms);
        vault.lock(
            claim.requestId,
            claim.sender,
            compensation + reward + burn,
            terms.proving(),
            _proveClock(terms) / 2
        );
        return Status.Provisional;
    }

    /// @dev The standing claim handed in without a proof: what its clock says.
    function _settle(Request calldata request, bytes32 requestId, bytes calldata output)
        private
        returns (Status)
    {
        (Lock lock, bool suspended) = vault.lockOf(address(this), requestId);
        if (lock.contested()) {
            _lapse(request, requestId);
            return Status.Retracted;
        }
        uint256 until = lock.since() + _window(_terms(request));
        if (block.timestamp <= until) revert TooEarly(until, block.timestamp);
        bool unanswerable = keccak256(output) == UNANSWERABLE;
        if (suspended && !unanswerable) revert OperatorSuspended(lock.owner());
        vault.release(requestId);
        return unanswerable ? Status.Retracted : Status.Final;
    }

    /// @dev No proof came in time. Not the operator's fault if no proof could be accepted.
    function _lapse(Request calldata request, bytes32 requestId) private {
        Case storage case_ = _cases[requestId];
        if (block.timestamp <= case_.proveBy) revert TooEarly(case_.proveBy, block.timestamp);
        if (address(verifier).codehash != codeHash) {
            case_.outcome = Outcome.Void;
            emit Decided(requestId, Outcome.Void);
            vault.release(requestId);
            return;
        }
        case_.outcome = Outcome.Lapsed;
        emit Decided(requestId, Outcome.Lapsed);
        _slash(request, requestId, _challenges[requestId][0].challenger);
    }

    /// @dev What stands was proved: whoever disputed it was wrong.
    function _uphold(Request calldata request, Claim calldata claim) private returns (Status) {
        if (vault.release(claim.requestId).contested()) {
            Case storage case_ = _cases[claim.requestId];
            case_.outcome = Outcome.Upheld;
            (case_.payee, case_.cost) = (claim.payee, uint96(_bond(_terms(request))));
            emit Decided(claim.requestId, Outcome.Upheld);
        }
        return Status.Final;
    }

    /// @dev Another output was proved. The reward waits here for commitments to be opened; nobody gets
    ///      it (it is burned) if there was no dispute.
    function _overturn(Request calldata request, bytes32 requestId, bytes32 proved)
        private
        returns (Status)
    {
        (Lock lock,) = vault.lockOf(address(this), requestId);
        if (lock.contested()) {
            Case storage case_ = _cases[requestId];
            (, uint256 reward,) = _split(_terms(request));
            case_.outcome = Outcome.Overturned;
            case_.proved = proved;
            case_.reward = uint64(reward);
            case_.revealBy = uint40(block.timestamp + REVEAL_TIME + _inclusionDelay);
            emit Decided(requestId, Outcome.Overturned);
        }
        _slash(request, requestId, lock.contested() ? address(this) : address(0));
        return Status.Final;
    }

    function _slash(Request calldata request, bytes32 requestId, address challenger) private {
        (uint256 compensation, uint256 reward,) = _split(_terms(request));
        if (challenger == address(0)) reward = 0;
        vault.slash(requestId, request.requester, compensation, challenger, reward);
    }

    // --- checks ---------------------------------------------------------------------------------

    /// @dev Evidence of another output names what stands, so that a proof of the same output, which
    ///      anyone can make once it is public, takes nothing from the standing payee.
    function _checkOther(Claim calldata claim, bytes calldata output, bytes calldata evidence)
        private
        pure
        returns (bytes calldata proof)
    {
        if (evidence.length < 64) revert WrongEvidence(64, evidence.length);
        (address payee, bytes32 outputHash) = abi.decode(evidence[:64], (address, bytes32));
        bytes32 named = _digest(payee, outputHash);
        if (named != claim.standing) revert WrongClaim(claim.standing, named);
        if (keccak256(output) == outputHash) revert SameOutput(outputHash);
        return evidence[64:];
    }

    function _checkStanding(bytes32 requestId, address payee, bytes32 outputHash) private view {
        (Status status, bytes32 standing,) = oracle.statusOf(requestId);
        if (status != Status.Provisional) revert WrongStatus(requestId, status);
        bytes32 named = _digest(payee, outputHash);
        if (named != standing) revert WrongClaim(standing, named);
    }

    function _verify(
        Request calldata request,
        Claim calldata claim,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) private view {
        bytes32 held = address(verifier).codehash;
        if (held != codeHash) revert VerifierChanged(codeHash, held);
        verifier.verify(request.modelId, claim.context, input, output, proof);
    }

    /// @dev InferenceOracle.claimDigest, from the output's hash.
    function _digest(address payee, bytes32 outputHash) private pure returns (bytes32) {
        return keccak256(abi.encode(payee, outputHash)) & bytes32(DIGEST_MASK);
    }

    // --- formulas -------------------------------------------------------------------------------

    function _terms(Request calldata request) private pure returns (Terms) {
        return Terms.wrap(uint256(request.terms));
    }

    /// @dev Fits a lock: 2 * 2^40 + max(2^40 / 10, 3 * 2^40) < 2^48.
    function _split(Terms terms)
        private
        view
        returns (uint256 compensation, uint256 reward, uint256 burn)
    {
        compensation = terms.coverage();
        reward = compensation / REWARD_SHARE;
        uint256 least = REWARD_FACTOR * _challengerCost;
        if (reward < least) reward = least;
        burn = compensation;
    }

    function _window(Terms terms) private view returns (uint256) {
        uint256 chosen = terms.windowHours();
        return chosen == 0 ? _leastWindow(terms) : chosen * 1 hours;
    }

    function _leastWindow(Terms terms) private view returns (uint256 window) {
        window = terms.coverage() > _largeCoverage ? _windowLarge : _windowSmall;
        uint256 least = terms.proving() + MARGIN + _inclusionDelay;
        if (window < least) window = least;
    }

    function _proveClock(Terms terms) private view returns (uint256 clock) {
        clock = PROVE_FACTOR * terms.proving();
        if (clock < MIN_PROVE_CLOCK) clock = MIN_PROVE_CLOCK;
        clock += MARGIN + _inclusionDelay;
    }

    function _bond(Terms terms) private view returns (uint256) {
        return _verifyCost + terms.proving() * _provingPrice;
    }

    function _send(address to, uint256 amount) private {
        bool success;
        assembly ("memory-safe") {
            success := call(gas(), to, amount, 0, 0, 0, 0)
        }
        if (!success) revert TransferFailed(to, amount);
    }
}
