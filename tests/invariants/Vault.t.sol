// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {TokenVault} from "../../contracts/assurance/TokenVault.sol";
import {Vault} from "../../contracts/assurance/Vault.sol";
import {IStakeVault} from "../../contracts/interfaces/IStakeVault.sol";
import {Token} from "../contracts/harness/Token.sol";
import {VM} from "./Vm.sol";

/// @notice Owners and a tier that does what it likes with a vault; in ETH, or in a token whose manners
///         change. Of its locks it remembers the sums, to compare.
contract Till {
    uint256 internal constant OWNERS = 3;
    uint256 internal constant UNIT = 1 gwei;

    Vault public vault;
    Token public token;
    mapping(address owner => uint256) public locked;
    /// @notice Broken promises; zero for ever.
    uint256 public broken;
    /// @notice What was sent to the vault besides stakes: less than a unit each time, or forced in.
    uint256 public gifts;

    /// @dev Once; forge calls it again like anything else.
    function start(Vault vault_, Token token_) external {
        if (address(vault) == address(0)) (vault, token) = (vault_, token_);
    }

    function owner(uint256 i) public pure returns (address) {
        return address(uint160(0x0A11CE + i % OWNERS));
    }

    function held() public view returns (uint256) {
        return
            address(token) == address(0) ? address(vault).balance : token.balanceOf(address(vault));
    }

    function stake(uint256 who, uint64 value, uint8 manner) external {
        address from = owner(who);
        uint256 before = held();
        uint256 had = vault.accountOf(from).stake;
        VM.deal(from, value);
        if (address(token) == address(0)) {
            VM.prank(from);
            try StakeVault(payable(address(vault))).stake{value: value}() {} catch {}
        } else {
            token.behave(Token.Manner(manner % 5), address(0), "");
            token.mint(from, value);
            VM.prank(from);
            token.approve(address(vault), value);
            VM.prank(from);
            try TokenVault(address(vault)).stake(value) {} catch {}
            token.behave(Token.Manner.Plain, address(0), "");
        }
        uint256 got = held() - before;
        uint256 more = vault.accountOf(from).stake - had;
        if (more * UNIT > got || got - more * UNIT >= UNIT) ++broken;
        gifts += got - more * UNIT;
    }

    function lock(uint256 who, uint64 amount, uint16 load) external {
        uint256 free = vault.freeOf(owner(who));
        uint256 taken = free == 0 ? 0 : amount % (free + free / 8 + 1);
        try vault.lock(owner(who), owner(who), taken, load, type(uint24).max) {
            locked[owner(who)] += taken;
            if (taken > free) ++broken;
        } catch {}
    }

    function release(uint256 who, uint64 amount) external {
        uint256 taken = _some(who, amount);
        uint256 had = vault.accountOf(owner(who)).stake;
        try vault.release(owner(who), taken, 0) {
            locked[owner(who)] -= taken;
            uint256 lost = had - vault.accountOf(owner(who)).stake;
            if (lost != (vault.isForfeited(owner(who)) ? taken : 0)) ++broken;
        } catch {}
    }

    function slash(uint256 who, uint64 amount, uint64 compensation, uint64 reward) external {
        uint256 taken = _some(who, amount);
        IStakeVault.Division memory division = IStakeVault.Division({
            id: bytes32(who),
            owner: owner(who),
            amount: taken,
            load: 0,
            consumer: owner(who + 1),
            compensation: taken == 0 ? 0 : compensation % (taken + 1),
            challenger: owner(who + 2),
            reward: taken == 0 ? 0 : reward % (taken + 1)
        });
        uint256 burned = vault.burned();
        try vault.slash(division) {
            locked[owner(who)] -= taken;
            burned = vault.burned() - burned;
            if (burned < division.compensation) ++broken;
            if (burned + division.compensation + division.reward != taken) ++broken;
            if (!vault.isSuspended(owner(who))) ++broken;
        } catch {}
    }

    function fine(uint256 who, uint64 amount) external {
        uint256 taken = _some(who, amount);
        bool suspended = vault.isSuspended(owner(who));
        try vault.fine(bytes32(who), owner(who), taken) {
            locked[owner(who)] -= taken;
            if (vault.isSuspended(owner(who)) != suspended) ++broken;
        } catch {}
    }

    function forfeit(uint256 who, uint8 luck) external {
        if (luck % 8 != 0) return;
        vault.forfeit(owner(who));
        if (vault.freeOf(owner(who)) != 0) ++broken;
    }

    function queue(uint256 who, uint64 amount) external {
        uint256 most = vault.accountOf(owner(who)).stake;
        VM.prank(owner(who));
        vault.queueWithdrawal(amount % (most + 1));
    }

    function leave(uint256 who, uint32 wait) external {
        VM.warp(block.timestamp + wait % 20 days);
        VM.prank(owner(who));
        try vault.leave(owner(who)) {
            if (locked[owner(who)] != 0) ++broken;
        } catch {}
    }

    function withdraw(uint256 who) external {
        try vault.withdrawFor(owner(who)) {} catch {}
    }

    function pay(uint256 who, uint256 to, uint64 amount) external {
        VM.prank(owner(who));
        try vault.pay(owner(to), amount) {} catch {}
    }

    function force(uint64 value) external {
        gifts += value;
        if (address(token) == address(0)) VM.deal(address(vault), address(vault).balance + value);
        else token.mint(address(vault), value);
    }

    /// @dev Some of what is locked, at times more.
    function _some(uint256 who, uint64 amount) private view returns (uint256) {
        uint256 most = locked[owner(who)];
        return amount % (most + most / 8 + 2);
    }
}

/// @notice What must hold whatever owners and tiers do with a vault in ETH.
contract VaultInvariants {
    Till internal till;

    error Broken(string what, uint256 expected, uint256 got);

    function setUp() public {
        VM.warp(1_750_000_000);
        till = new Till();
        Token token = _token();
        address[] memory tiers = new address[](1);
        tiers[0] = address(till);
        till.start(_vault(tiers, token), token);
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(till);
    }

    /// @notice To the smallest unit: what is held is stakes, credits, what was burned, and gifts.
    function invariant_vault_holds_what_it_owes() public view {
        Vault vault = till.vault();
        uint256 owed = vault.burned();
        for (uint256 i; i < 3; ++i) {
            owed += vault.accountOf(till.owner(i)).stake + vault.credit(till.owner(i));
        }
        uint256 expected = owed * 1 gwei + till.gifts();
        if (till.held() != expected) revert Broken("vault", expected, till.held());
    }

    /// @notice Locks are backed, and are what the tier locked and has not ended.
    function invariant_locks_are_backed() public view {
        for (uint256 i; i < 3; ++i) {
            address owner = till.owner(i);
            IStakeVault.Account memory account = till.vault().accountOf(owner);
            if (account.locked > account.stake) {
                revert Broken("locked above stake", account.stake, account.locked);
            }
            if (account.locked != till.locked(owner)) {
                revert Broken("locked", till.locked(owner), account.locked);
            }
        }
        if (till.broken() != 0) revert Broken("broken", 0, till.broken());
    }

    function _token() internal virtual returns (Token) {
        return Token(address(0));
    }

    function _vault(address[] memory tiers, Token) internal virtual returns (Vault) {
        return new StakeVault(tiers);
    }
}

/// @notice The same in a token.
contract TokenVaultInvariants is VaultInvariants {
    function _token() internal override returns (Token) {
        return new Token();
    }

    function _vault(address[] memory tiers, Token token) internal override returns (Vault) {
        return new TokenVault(tiers, token, 1 gwei);
    }
}
