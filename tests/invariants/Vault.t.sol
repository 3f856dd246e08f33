// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {StakeVault} from "../../contracts/assurance/StakeVault.sol";
import {TokenVault} from "../../contracts/assurance/TokenVault.sol";
import {Vault} from "../../contracts/assurance/Vault.sol";
import {IStakeVault} from "../../contracts/interfaces/IStakeVault.sol";
import {Token} from "../contracts/harness/Token.sol";
import {VM} from "./Vm.sol";

/// @notice Owners and a tier that does what it likes with a vault; in ETH, or in a token whose manners
///         change, and which is an owner, too. Of its locks it remembers the sums, to compare.
contract Till {
    uint256 public constant OWNERS = 3;
    uint256 internal constant UNIT = 1 gwei;
    uint256 internal constant MANNERS = uint256(type(Token.Manner).max) + 1;
    /// @dev For a call in which coins move: there are tokens that burn all of it.
    uint256 internal constant GAS = 1_000_000;

    Vault public vault;
    Token public token;
    mapping(address owner => uint256) public locked;
    /// @notice Broken promises; zero for ever.
    uint256 public broken;
    /// @notice What was sent to the vault besides stakes: less than a unit each time, or forced in.
    uint256 public gifts;

    /// @dev What an owner has before coins move: in the vault and outside; and what the vault holds.
    struct Before {
        uint256 held;
        uint256 stake;
        uint256[OWNERS] wealth;
        Token.Manner manner;
    }

    /// @dev Once; forge calls it again like anything else.
    function start(Vault vault_, Token token_) external {
        if (address(vault) == address(0)) (vault, token) = (vault_, token_);
    }

    function owner(uint256 i) public view returns (address) {
        if (_isToken() && i % OWNERS == OWNERS - 1) return address(token);
        return address(uint160(0x0A11CE + i % OWNERS));
    }

    function held() public view returns (uint256) {
        return _isToken() ? token.balanceOf(address(vault)) : address(vault).balance;
    }

    /// @dev In ETH whole units, mostly: others are refused.
    function stake(uint256 who, uint64 value, uint8 manner) external {
        address from = owner(who);
        if (_isToken()) {
            token.mint(from, value);
            VM.prank(from);
            token.approve(address(vault), value + UNIT); // more than is taken
        } else {
            if (manner % 8 != 0) value -= uint64(value % UNIT);
            VM.deal(from, from.balance + value);
        }
        bool done;
        Before memory before = _misbehave(who, manner);
        VM.prank(from);
        if (_isToken()) {
            try TokenVault(address(vault)).stake{gas: GAS}(value) {
                done = true;
            } catch {}
        } else {
            try StakeVault(payable(address(vault))).stake{value: value, gas: GAS}() {
                done = true;
            } catch {}
        }
        uint256 got = held() - before.held;
        uint256 more = vault.accountOf(from).stake - before.stake;
        if (more * UNIT > got || got - more * UNIT >= UNIT) ++broken;
        gifts += got - more * UNIT;
        _check(who, before, done, value, got - more * UNIT);
        if (done && before.manner == Token.Manner.Bonus) ++broken; // more than was sent
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

    function leave(uint256 who, uint32 wait, uint8 manner) external {
        VM.warp(block.timestamp + wait % 20 days);
        bool done;
        uint256 amount;
        Before memory before = _misbehave(who, manner);
        VM.prank(owner(who));
        try vault.leave{gas: GAS}(owner(who)) returns (uint256 left) {
            (done, amount) = (true, left);
            if (locked[owner(who)] != 0) ++broken;
        } catch {}
        if (vault.accountOf(owner(who)).stake != before.stake - amount) ++broken;
        if (held() != before.held - amount * UNIT) ++broken;
        _check(who, before, done, amount * UNIT, 0);
    }

    function withdraw(uint256 who, uint8 manner) external {
        bool done;
        uint256 amount;
        uint256 due = vault.credit(owner(who));
        Before memory before = _misbehave(who, manner);
        try vault.withdrawFor{gas: GAS}(owner(who)) returns (uint256 left) {
            (done, amount) = (true, left);
        } catch {}
        if (vault.credit(owner(who)) != due - amount) ++broken;
        if (held() != before.held - amount * UNIT) ++broken;
        _check(who, before, done, amount * UNIT, 0);
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

    /// @dev Some of what is locked, at times all or more.
    function _some(uint256 who, uint64 amount) private view returns (uint256) {
        uint256 most = locked[owner(who)];
        return amount % 4 == 0 ? most : amount % (most + most / 8 + 2);
    }

    function _isToken() private view returns (bool) {
        return address(token) != address(0);
    }

    /// @dev From now on the token behaves in that manner. One that calls back does so in its own name:
    ///      it hands out somebody's credit, leaves or stakes.
    function _misbehave(uint256 who, uint8 luck) private returns (Before memory before) {
        (before.held, before.stake) = (held(), vault.accountOf(owner(who)).stake);
        before.wealth = _wealth();
        if (!_isToken()) return before;
        uint256 kind = luck / MANNERS % 5;
        bytes memory data = abi.encodeCall(vault.withdrawFor, (owner(kind)));
        if (kind == 3) data = abi.encodeCall(vault.leave, (address(token)));
        if (kind == 4) data = abi.encodeCall(TokenVault.stake, (UNIT));
        before.manner = Token.Manner(luck % MANNERS);
        token.behave(before.manner, address(vault), data);
    }

    /// @dev Whatever the token did, nobody but the mover has more or less than before, and the mover only
    ///      the 1% that the token keeps or adds, and what was too little to be counted.
    function _check(uint256 who, Before memory before, bool done, uint256 value, uint256 dust)
        private
    {
        if (_isToken()) token.behave(Token.Manner.Plain, address(0), "");
        Token.Manner manner = before.manner;
        if (!done && held() != before.held) ++broken;
        if (done && (manner == Token.Manner.False || manner >= Token.Manner.Revert)) ++broken;
        uint256[OWNERS] memory wealth = _wealth();
        uint256 fee = done && manner == Token.Manner.Fee ? value / 100 : 0;
        uint256 bonus = done && manner == Token.Manner.Bonus ? value / 100 : 0;
        before.wealth[who % OWNERS] = before.wealth[who % OWNERS] + bonus - fee - dust;
        for (uint256 i; i < OWNERS; ++i) {
            if (wealth[i] != before.wealth[i]) ++broken;
        }
    }

    /// @dev What the owners have, in the vault and outside.
    function _wealth() private view returns (uint256[OWNERS] memory wealth) {
        for (uint256 i; i < OWNERS; ++i) {
            address who = owner(i);
            wealth[i] = (vault.accountOf(who).stake + vault.credit(who)) * UNIT;
            wealth[i] += _isToken() ? token.balanceOf(who) : who.balance;
        }
    }
}

/// @notice What must hold whatever owners and tiers do with a vault in ETH.
contract VaultInvariants {
    uint256 internal constant START = 1_750_000_000;
    /// @dev Later than all calls of a run can warp.
    uint256 internal constant END = START + 4_000 days;

    Till internal till;

    error Broken(string what, uint256 expected, uint256 got);

    function setUp() public {
        VM.warp(START);
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
        for (uint256 i; i < till.OWNERS(); ++i) {
            owed += vault.accountOf(till.owner(i)).stake + vault.credit(till.owner(i));
        }
        uint256 expected = owed * 1 gwei + till.gifts();
        if (till.held() != expected) revert Broken("vault", expected, till.held());
    }

    /// @notice Locks are backed, and are what the tier locked and has not ended.
    function invariant_locks_are_backed() public view {
        for (uint256 i; i < till.OWNERS(); ++i) {
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

    /// @notice Once the tier has ended its locks and the token behaves: all stakes and credits can be had,
    ///         and what is left is what was burned, and gifts.
    function afterInvariant() public {
        Vault vault = till.vault();
        for (uint256 i; i < till.OWNERS(); ++i) {
            address owner = till.owner(i);
            uint256 locked = till.locked(owner);
            VM.prank(address(till));
            vault.release(owner, locked, 0);
            uint256 left = vault.accountOf(owner).stake;
            VM.prank(owner);
            vault.queueWithdrawal(left);
        }
        VM.warp(END);
        for (uint256 i; i < till.OWNERS(); ++i) {
            address owner = till.owner(i);
            uint256 left = vault.accountOf(owner).stake;
            uint256 credit = vault.credit(owner);
            if (left != 0) {
                VM.prank(owner);
                _same("stake left", left, vault.leave(owner));
            }
            if (credit != 0) _same("credit left", credit, vault.withdrawFor(owner));
        }
        _same("vault, empty", vault.burned() * 1 gwei + till.gifts(), till.held());
    }

    function _same(string memory what, uint256 expected, uint256 got) internal pure {
        if (expected != got) revert Broken(what, expected, got);
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

    /// @notice A token that calls back while a stake is counted hands out nobody's credit: that would be
    ///         taken for coins which the staker did not send.
    function test_a_token_that_calls_back_hands_out_no_credit() public {
        Vault vault = till.vault();
        address creditor = till.owner(1);
        till.stake(0, 1 ether, 0);
        till.lock(0, 5e8, 0);
        till.slash(0, 0, 1e8, 1e7);
        _same("credit", 1e8, vault.credit(creditor));
        uint8 manners = uint8(type(Token.Manner).max) + 1;
        till.stake(1, 1 ether, manners + uint8(Token.Manner.Reenter)); // withdrawFor(creditor)
        _same("credit", 1e8, vault.credit(creditor));
        _same("stake", 1e9, vault.accountOf(creditor).stake);
        till.withdraw(1, 0);
        _same("credit taken", 0, vault.credit(creditor));
        _same("broken", 0, till.broken());
    }

    /// @notice What the handlers are to do, they can: in each manner coins go in and out, or none do.
    function test_the_token_misbehaves_on_the_way_in_and_out() public {
        Vault vault = till.vault();
        for (uint8 i; i <= uint8(type(Token.Manner).max); ++i) {
            Token.Manner manner = Token.Manner(i);
            bool stays = manner == Token.Manner.False || manner >= Token.Manner.Revert;
            till.stake(0, 1 ether, i);
            bool staked = vault.accountOf(till.owner(0)).stake != 0;
            if (staked != !(stays || manner == Token.Manner.Bonus)) revert Broken("in", 0, i);
            till.stake(0, 1 ether, 0);
            till.queue(0, uint64(vault.accountOf(till.owner(0)).stake));
            till.leave(0, 15 days, i);
            bool left = vault.accountOf(till.owner(0)).stake == 0;
            if (left == stays) revert Broken("out", 0, i);
            till.leave(0, 0, 0);
        }
        _same("broken", 0, till.broken());
    }
}
