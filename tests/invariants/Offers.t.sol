// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Bounty} from "../../contracts/assurance/Bounty.sol";
import {BisectionSetting} from "./Bisection.t.sol";
import {Patron} from "./Patron.sol";

/// @notice What must hold of offers over compositions.
contract OfferInvariants is BisectionSetting {
    Bounty internal bounty;
    Patron internal patron;

    function setUp() public override {
        super.setUp();
        bounty = new Bounty(oracle, tier);
        patron = new Patron(bounty, bailiff);
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](2);
        (targets[0], targets[1]) = (address(bailiff), address(patron));
    }

    /// @notice It holds what was offered and neither earned nor returned, to the wei.
    function invariant_bounty_holds_what_it_owes() public view {
        _same("bounty", patron.held(), address(bounty).balance);
    }

    /// @notice Every segment proved, and final: earned, by the claim's payee. Settled otherwise:
    ///         returned, each giver's own. Never both, and nobody can be kept from either.
    function invariant_an_offer_is_earned_or_returns() public view {
        _same("broken offers", 0, patron.broken());
    }

    function afterInvariant() public override {
        super.afterInvariant();
        patron.finish();
        _same("broken offers", 0, patron.broken());
        _same("left over", 0, address(bounty).balance);
    }
}
