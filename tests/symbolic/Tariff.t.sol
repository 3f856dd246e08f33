// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {Tariff} from "../../contracts/assurance/Tariff.sol";
import {IStakedAssurance} from "../../contracts/interfaces/IStakedAssurance.sol";
import {Terms} from "../../contracts/types/Terms.sol";

/// @notice The formulas alone.
contract Rates is Tariff {
    constructor(Parameters memory parameters) Tariff(parameters) {}

    function admit(bytes32 terms) external view {
        _checkTerms(Terms.wrap(uint256(terms)));
    }

    function locked(bytes32 terms) external view returns (uint256) {
        return _locked(Terms.wrap(uint256(terms)));
    }
}

/// @notice For halmos (`make halmos`): for all terms, not for some; with L1's parameters and L2's.
abstract contract TariffProofs {
    uint256 internal constant CHALLENGER_COST = 1e6;

    Rates internal rates;

    function setUp() public {
        rates = new Rates(_parameters());
    }

    function _parameters() internal pure virtual returns (IStakedAssurance.Parameters memory);

    function check_split_is_the_whole_lock(bytes32 terms) public view {
        (uint256 compensation, uint256 reward, uint256 burn) = rates.split(terms);
        uint256 coverage = Terms.wrap(uint256(terms)).coverage();
        assert(compensation == coverage);
        assert(burn >= coverage && burn >= reward); // a third of the lock, or more
        assert(10 * reward + 9 >= coverage); // a tenth, rounded down, or more
        assert(reward >= 3 * CHALLENGER_COST);
        assert(compensation + reward + burn == rates.locked(terms));
        assert(2 * compensation + reward <= rates.locked(terms)); // what the vault demands of a slash
        assert(rates.locked(terms) < 1 << 48);
    }

    function check_clocks_end_before_the_oracle_gives_back(bytes32 terms) public view {
        rates.admit(terms);
        uint256 delay = _parameters().inclusionDelay;
        uint256 proving = Terms.wrap(uint256(terms)).proving();
        (uint256 window, uint256 prove) = rates.clocks(terms);
        assert(window >= proving + 1 hours + delay);
        assert(window >= _parameters().window);
        assert(prove >= 8 * proving + 1 hours + delay);
        assert(prove >= 3 hours + delay);
        assert(window + prove + 1 hours + delay <= 7 days);
    }

    function check_bond_pays_for_verifying_and_proving(bytes32 terms) public view {
        uint256 proving = Terms.wrap(uint256(terms)).proving();
        uint256 verifying = uint256(_parameters().verifyGas) * _parameters().gasPriceCap;
        assert(rates.bond(terms) == verifying + proving * _parameters().provingPrice);
        assert(rates.bond(terms) <= type(uint96).max);
    }
}

contract MainnetTariffProofs is TariffProofs {
    function _parameters() internal pure override returns (IStakedAssurance.Parameters memory) {
        return IStakedAssurance.Parameters({
            window: 4 hours,
            largeWindow: 24 hours,
            largeCoverage: 10e9,
            inclusionDelay: 0,
            challengerCost: uint40(CHALLENGER_COST),
            verifyGas: 1_000_000,
            gasPriceCap: 100 gwei,
            provingPrice: 1 gwei
        });
    }
}

contract RollupTariffProofs is TariffProofs {
    function _parameters() internal pure override returns (IStakedAssurance.Parameters memory) {
        return IStakedAssurance.Parameters({
            window: 36 hours,
            largeWindow: 36 hours,
            largeCoverage: 10e9,
            inclusionDelay: 24 hours,
            challengerCost: uint40(CHALLENGER_COST),
            verifyGas: 1_000_000,
            gasPriceCap: 1 gwei,
            provingPrice: 1 gwei
        });
    }
}
