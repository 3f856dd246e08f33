// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IAssurance} from "../../contracts/interfaces/IAssurance.sol";
import {InferenceOracle} from "../../contracts/oracle/InferenceOracle.sol";
import {Request} from "../../contracts/types/Request.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Puppet} from "../contracts/harness/Puppet.sol";
import {ScriptedTier} from "../contracts/harness/ScriptedTier.sol";
import {VM} from "./Vm.sol";

/// @notice Everyone who uses the oracle, well or badly. forge calls these functions in random order
///         with random arguments; calls that the oracle refuses change nothing.
contract Crowd {
    uint256 internal constant REQUESTS = 40;
    /// @dev For a call: enough for everything honest, and little to burn.
    uint256 internal constant GAS = 2_000_000;

    /// @dev What the scripted tier says: mostly 4 (Final) and 3 (Provisional), at times nonsense.
    bytes8 internal constant VERDICTS = hex"0404040303030502";

    InferenceOracle public immutable oracle;
    IAssurance public immutable proofs;
    ScriptedTier public immutable scripted;
    bytes32 public immutable modelId;

    Puppet[] public puppets;
    uint256 public forced;
    /// @notice Proofs that were taken for another request, or another payee.
    uint256 public broken;
    /// @notice How often one was handed in so.
    uint256 public replays;
    uint256 public settledCount;
    mapping(bytes32 requestId => Status) public settledAs;
    Request[] internal _requests;

    constructor(
        InferenceOracle oracle_,
        IAssurance proofs_,
        ScriptedTier scripted_,
        bytes32 modelId_
    ) {
        oracle = oracle_;
        proofs = proofs_;
        scripted = scripted_;
        modelId = modelId_;
        for (uint256 i; i < 3; ++i) {
            puppets.push(new Puppet());
        }
    }

    function requestCount() external view returns (uint256) {
        return _requests.length;
    }

    function requestAt(uint256 i) external view returns (Request memory) {
        return _requests[i];
    }

    // --- actions --------------------------------------------------------------------------------

    function ask(uint256 who, uint96 fee, uint32 callbackGas, uint64 wait, bool proof) external {
        if (_requests.length == REQUESTS) return;
        Puppet requester = puppets[who % 3];
        Request memory request = Request({
            requester: address(requester),
            refundTo: address(puppets[(who >> 8) % 3]),
            modelId: modelId,
            inputHash: keccak256("input"),
            assurance: proof ? address(proofs) : address(scripted),
            pin: proof ? proofs.pin() : scripted.pin(),
            terms: 0,
            fee: fee % 1 ether,
            callbackGasPrice: uint64(fee % 100 gwei),
            callbackGas: callbackGas % 150_000,
            deadline: uint64(block.timestamp + wait % 2 days),
            nonce: _requests.length
        });
        uint256 cost = oracle.cost(request.fee, request.callbackGas, request.callbackGasPrice);
        VM.deal(address(this), cost);
        requester.ask{value: cost}(oracle, request, "input");
        _requests.push(request);
    }

    function answer(uint256 which, uint256 who, uint8 luck, uint8 verdict) external {
        if (_requests.length == 0) return;
        Request memory request = _requests[which % _requests.length];
        (bool done,) = address(oracle).call{gas: GAS}(_answer(request, who, luck, verdict));
        done;
        _note();
    }

    /// @dev Anyone hands in what proves the answer to another request, or for another payee.
    function replay(uint256 which, uint256 from, uint256 who, uint256 whose) external {
        if (_requests.length == 0) return;
        Request memory request = _requests[which % _requests.length];
        Request memory told = _requests[from % _requests.length];
        if (request.assurance != address(proofs)) return;
        if (request.nonce == told.nonce && who % 3 == whose % 3) return;
        bytes32 context = oracle.contextOf(told, address(puppets[whose % 3]));
        bytes memory proof =
            abi.encodePacked(keccak256(abi.encode(modelId, context, "input", "output")));
        address payee = address(puppets[who % 3]);
        try oracle.answer{gas: GAS}(request, "input", payee, "output", proof) {
            ++broken;
        } catch {}
        ++replays;
        _note();
    }

    function refund(uint256 which) external {
        if (_requests.length == 0) return;
        try oracle.refund{gas: GAS}(_requests[which % _requests.length]) {} catch {}
        _note();
    }

    function retry(uint256 which, uint256 who) external {
        if (_requests.length == 0) return;
        address payee = address(puppets[who % 3]);
        try oracle.retryCallback{gas: GAS}(_requests[which % _requests.length], payee, "output") {}
            catch {}
        _note();
    }

    function withdraw(uint256 who, uint256 to) external {
        try puppets[who % 3].withdraw{gas: GAS}(oracle, address(puppets[to % 3])) {} catch {}
        _note();
    }

    /// @dev A puppet may from now on revert, burn, bomb, or answer, refund or withdraw when called.
    function behave(uint256 who, uint8 manner, uint256 which, uint8 act) external {
        if (_requests.length == 0) return;
        Request memory request = _requests[which % _requests.length];
        bytes memory data = act % 3 == 0
            ? _answer(request, who, 1, act % 7)
            : act % 3 == 1
                ? abi.encodeCall(oracle.refund, (request))
                : abi.encodeCall(oracle.withdraw, (address(puppets[which % 3])));
        puppets[who % 3].behave(Puppet.Manner(manner % 5), address(oracle), data);
    }

    function script(uint256 which, uint256 who, uint8 verdict) external {
        if (_requests.length == 0) return;
        Request memory request = _requests[which % _requests.length];
        scripted.script(address(oracle), _answer(request, who, 1, verdict));
    }

    function pass(uint32 time) external {
        VM.warp(block.timestamp + time % 4 days);
    }

    function force(uint64 amount) external {
        forced += amount;
        VM.deal(address(oracle), address(oracle).balance + amount);
    }

    // --- helpers --------------------------------------------------------------------------------

    function _answer(Request memory request, uint256 who, uint8 luck, uint8 verdict)
        private
        view
        returns (bytes memory)
    {
        address payee = address(puppets[who % 3]);
        bytes memory evidence = abi.encodePacked(VERDICTS[verdict % 8]);
        if (request.assurance == address(proofs) && luck % 4 != 0) {
            bytes32 context = oracle.contextOf(request, payee);
            evidence = abi.encodePacked(
                keccak256(abi.encode(modelId, context, bytes("input"), bytes("output")))
            );
        }
        return abi.encodeCall(oracle.answer, (request, "input", payee, "output", evidence));
    }

    /// @dev Remembers the first terminal status of each request.
    function _note() private {
        for (uint256 i; i < _requests.length; ++i) {
            bytes32 id = oracle.idOf(_requests[i]);
            (Status status,,) = oracle.statusOf(id);
            if (status >= Status.Final && settledAs[id] == Status.None) {
                settledAs[id] = status;
                ++settledCount;
            }
        }
    }
}
