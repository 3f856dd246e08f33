// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";

/// @dev Called by delegation, it deletes whoever calls: since EIP-6780 only what was created in the
///      same transaction, and only when that ends.
contract Grave {
    function die() external {
        assembly {
            selfdestruct(origin())
        }
    }
}

/// @dev A contract whose creation code is always the same, so whose address is too, and whose code is
///      what its maker wants today.
contract Shifting {
    constructor() {
        (bytes memory code, address grave) = Shifter(msg.sender).wanted();
        if (grave != address(0)) {
            (bool dead,) = grave.delegatecall(abi.encodeCall(Grave.die, ()));
            require(dead);
        }
        assembly {
            return(add(code, 0x20), mload(code))
        }
    }
}

/// @notice Makes a contract of any code, at one address, as often as it is deleted.
contract Shifter {
    bytes private _code;
    address private _grave;
    address private immutable _deathbed = address(new Grave());

    function wanted() external view returns (bytes memory, address) {
        return (_code, _grave);
    }

    /// @param lasts whether the contract outlives the transaction
    function make(bytes memory code, bool lasts) public returns (address made) {
        _code = code;
        _grave = lasts ? address(0) : _deathbed;
        return address(new Shifting{salt: 0}());
    }

    /// @dev In one transaction: a chunk that is gone after it, registered while it is there.
    function register(IModelRegistry registry, bytes memory code, address points, bytes32 srs)
        external
        returns (bytes32)
    {
        address[] memory programs = new address[](1);
        address[] memory pointChunks = new address[](1);
        (programs[0], pointChunks[0]) = (make(code, false), points);
        return registry.register(programs, pointChunks, srs, 0);
    }
}
