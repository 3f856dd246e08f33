// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {ICommitteeAssurance} from "../interfaces/ICommitteeAssurance.sol";
import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";
import {Request} from "../types/Request.sol";
import {Status} from "../types/Status.sol";
import {Seats} from "./Seats.sol";

/// @title What members committed to and revealed: off-chain under a signature, or on-chain by themselves.
abstract contract Openings is Seats {
    bytes32 internal constant DOMAIN = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );
    bytes32 internal constant COMMIT =
        keccak256("Commit(bytes32 requestId,uint256 epoch,bytes32 commitment)");

    /// @dev A place's part of a summons' bond, of the fine.
    uint256 internal constant BOND_SHARE = 4;

    IInferenceOracle public immutable oracle;
    bytes32 internal immutable _domain;

    /// @dev A demand to speak on-chain, one a request: places are those of that epoch's committee, of
    ///      which `silent` have not revealed, nor has their part of the bond gone back.
    struct Summons {
        uint32 epoch;
        uint40 commitBy;
        uint40 revealBy;
        uint8 silent;
    }

    mapping(bytes32 requestId => Summons) public summonsOf;
    mapping(bytes32 requestId => mapping(uint256 place => bytes32)) public commitmentAt;
    /// @notice keccak256(abi.encode(payee, output hash, trace root)) that a member revealed on-chain.
    mapping(bytes32 requestId => mapping(uint256 place => bytes32)) public revealedAt;
    mapping(bytes32 requestId => mapping(uint256 place => bool)) private _fined;
    /// @inheritdoc ICommitteeAssurance
    mapping(address account => uint256) public credit;

    constructor(IInferenceOracle oracle_) {
        oracle = oracle_;
        _domain = keccak256(
            abi.encode(
                DOMAIN,
                keccak256("einproof committee"),
                keccak256("1"),
                block.chainid,
                address(this)
            )
        );
    }

    /// @inheritdoc ICommitteeAssurance
    function summon(Request calldata request) external payable {
        if (msg.value != summonsBond()) revert WrongBond(summonsBond(), msg.value);
        if (request.assurance != address(this)) revert WrongTier(address(this), request.assurance);
        if (request.requester != msg.sender) revert OnlyRequester(request.requester, msg.sender);
        bytes32 requestId = oracle.idOf(request);
        _checkOpen(requestId);
        uint256 epoch = _epoch();
        if (committeeOf[epoch] == 0) revert TooFewSeats(_places, 0);
        if (summonsOf[requestId].epoch != 0) revert NothingLeft(requestId);
        uint256 revealBy = block.timestamp + 2 * _grace;
        // What is revealed can still be handed in: in time, and in the committee's own epoch.
        uint256 until = (epoch + 1) * EPOCH - _grace;
        if (request.deadline < until) until = request.deadline;
        if (revealBy > until) revert TooLate(until, revealBy);

        summonsOf[requestId] = Summons(
            uint32(epoch), uint40(block.timestamp + _grace), uint40(revealBy), uint8(_places)
        );

        emit Summoned(requestId, epoch, block.timestamp + _grace);
    }

    /// @inheritdoc ICommitteeAssurance
    function commit(bytes32 requestId, bytes calldata members, uint256 place, bytes32 commitment)
        external
    {
        Summons memory summons = summonsOf[requestId];
        _checkMembers(summons.epoch, members);
        (, address member) = _member(members, place);
        if (member != msg.sender) revert OnlyOwner(member, msg.sender);
        if (block.timestamp > summons.commitBy) revert TooLate(summons.commitBy, block.timestamp);

        commitmentAt[requestId][place] = commitment;

        emit Committed(requestId, place, commitment);
    }

    /// @inheritdoc ICommitteeAssurance
    function reveal(
        bytes32 requestId,
        bytes calldata members,
        uint256 place,
        address payee,
        bytes32 outputHash,
        bytes32 traceRoot,
        bytes32 salt
    ) external {
        Summons memory summons = summonsOf[requestId];
        _checkMembers(summons.epoch, members);
        (, address member) = _member(members, place);
        if (block.timestamp <= summons.commitBy) {
            revert TooEarly(summons.commitBy, block.timestamp);
        }
        if (block.timestamp > summons.revealBy) revert TooLate(summons.revealBy, block.timestamp);
        bytes32 opened = keccak256(abi.encode(payee, outputHash, traceRoot, salt, member));
        bytes32 commitment = commitmentAt[requestId][place];
        if (opened != commitment) revert WrongCommitment(commitment, opened);
        if (revealedAt[requestId][place] != 0) revert NothingLeft(requestId);

        revealedAt[requestId][place] = keccak256(abi.encode(payee, outputHash, traceRoot));
        summonsOf[requestId].silent = summons.silent - 1;
        credit[member] += _placeBond();

        emit Revealed(requestId, place, payee, outputHash);
    }

    /// @inheritdoc ICommitteeAssurance
    /// @dev Nobody reveals any more then.
    function reclaim(Request calldata request) external {
        bytes32 requestId = oracle.idOf(request);
        Summons storage summons = summonsOf[requestId];
        if (block.timestamp <= summons.revealBy) {
            revert TooEarly(summons.revealBy, block.timestamp);
        }
        uint256 amount = summons.silent * _placeBond();
        if (amount == 0) revert NothingLeft(requestId);

        summons.silent = 0;
        credit[request.requester] += amount;

        emit Reclaimed(requestId, request.requester, amount);
    }

    /// @inheritdoc ICommitteeAssurance
    function withdraw(address to) external returns (uint256 amount) {
        amount = credit[msg.sender];
        if (amount == 0) revert NothingToWithdraw(msg.sender);
        if (to == address(0)) revert ZeroAddress();

        credit[msg.sender] = 0;

        emit Withdrawn(msg.sender, to, amount);

        bool success;
        assembly ("memory-safe") {
            success := call(gas(), to, amount, 0, 0, 0, 0)
        }
        if (!success) revert TransferFailed(to, amount);
    }

    /// @inheritdoc ICommitteeAssurance
    /// @dev Once a request is answered nobody was missed: who signed off-chain need not appear.
    function fineAbsent(bytes32 requestId, bytes calldata members, uint256 place) external {
        Summons memory summons = summonsOf[requestId];
        _checkMembers(summons.epoch, members);
        if (block.timestamp <= summons.revealBy) {
            revert TooEarly(summons.revealBy, block.timestamp);
        }
        _checkOpen(requestId);
        (uint256 seat, address member) = _member(members, place);
        if (revealedAt[requestId][place] != 0 || _fined[requestId][place]) {
            revert NothingLeft(requestId);
        }

        _fined[requestId][place] = true;

        _fineSeat(requestId, summons.epoch, seat, member);
    }

    /// @inheritdoc ICommitteeAssurance
    function summonsBond() public view returns (uint256) {
        return _places * _placeBond();
    }

    /// @inheritdoc ICommitteeAssurance
    function digestOf(bytes32 requestId, uint256 epoch, bytes32 commitment)
        public
        view
        returns (bytes32)
    {
        bytes32 structHash = keccak256(abi.encode(COMMIT, requestId, epoch, commitment));
        return keccak256(abi.encodePacked(hex"1901", _domain, structHash));
    }

    // --- for the tier ---------------------------------------------------------------------------

    /// @dev At least m members, each once, vouch for this claim: the committee's members, and the
    ///      places of those, a bit each.
    function _checkQuorum(
        bytes32 requestId,
        uint256 epoch,
        address payee,
        bytes32 outputHash,
        bytes memory quorum
    ) internal view virtual returns (bytes memory members, uint256 places);

    /// @dev A member that was summoned revealed this claim on-chain.
    function _checkRevealed(bytes32 requestId, uint256 epoch, uint256 place, bytes32 claimed)
        internal
        view
    {
        bool here = summonsOf[requestId].epoch == epoch;
        if (!here || revealedAt[requestId][place] != claimed) revert NotRevealed(place);
    }

    /// @dev Down to what claims may have reserved, no further.
    function _fineSeat(bytes32 requestId, uint256 epoch, uint256 seat, address member) internal {
        uint256 taken = _takeSeat(epoch, seat, member, _fine, _reservable());
        emit Fined(requestId, seat, taken);
        if (taken != 0) vault.fine(requestId, member, taken);
    }

    /// @dev In wei, as all that is not stake.
    function _placeBond() private view returns (uint256) {
        return _fine * 1 gwei / BOND_SHARE;
    }

    function _checkOpen(bytes32 requestId) private view {
        (Status status, bytes32 digest,) = oracle.claimOf(requestId);
        bool open = status == Status.Open || (status == Status.Refunded && digest == 0);
        if (!open) revert WrongStatus(requestId, status);
    }
}
