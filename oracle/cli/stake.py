"""einproof stake: an operator's stake in the vault, by hand; in ether, or in the vault's token."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from eth_utils.address import is_address, to_checksum_address

from oracle.bootstrap import Site
from oracle.domain.chain import Call
from oracle.domain.errors import SettingsInvalid
from oracle.domain.request import Coin, TierKind
from oracle.settings import read_settings

GWEI = 10**9
ETHER_DECIMALS = 18

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="An operator's stake in the vault."
)

Amount = Annotated[
    float, typer.Argument(min=0, metavar="ETHER", help="How much; of a token, how many.")
]
Rpc = Annotated[str | None, typer.Option(help="Node: http(s) URL or IPC socket.")]
Key = Annotated[str | None, typer.Option(help="Keystore file (dev:N on 31337; default dev:1).")]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]
Combination = Annotated[
    bool, typer.Option("--combination", help="In the vault of the deployed combination.")
]


@dataclass(frozen=True)
class Purse:
    """An owner before its vault; `coin` is what it holds, None for ether."""

    vault: str
    owner: str
    coin: Coin | None
    decimals: int = ETHER_DECIMALS

    def units(self, amount: float) -> int:
        unit = GWEI if self.coin is None else self.coin.unit
        return round(amount * 10**self.decimals / unit)

    def add(self, amount: float) -> list[Call]:
        from oracle.adapters.abi import TOKEN, call_data

        if self.coin is None:
            return [Call(self.vault, call_data("stake"), self.units(amount) * GWEI)]
        value = self.units(amount) * self.coin.unit
        return [
            Call(self.coin.token, call_data("approve", self.vault, value, among=TOKEN)),
            Call(self.vault, call_data("stake", value, among=TOKEN)),
        ]

    def call(self, name: str, *arguments: Any) -> list[Call]:
        from oracle.adapters.abi import call_data

        return [Call(self.vault, call_data(name, *arguments))]


Work = Callable[[Purse], list[Call]]


@app.command()
def show(
    combination: Combination = False, rpc: Rpc = None, key: Key = None, as_json: Json = False
) -> None:
    """What is staked, locked, queued and free."""
    _do(lambda purse: [], combination, rpc, key, as_json)


@app.command()
def add(
    amount: Amount,
    combination: Combination = False,
    rpc: Rpc = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Stake that much more."""
    _do(lambda purse: purse.add(amount), combination, rpc, key, as_json)


@app.command()
def withdraw(
    amount: Amount,
    combination: Combination = False,
    rpc: Rpc = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Queue that much, in place of what was queued; in two weeks it may leave."""
    _do(
        lambda purse: purse.call("queueWithdrawal", purse.units(amount)),
        combination,
        rpc,
        key,
        as_json,
    )


@app.command()
def leave(
    combination: Combination = False, rpc: Rpc = None, key: Key = None, as_json: Json = False
) -> None:
    """Take out what was queued two weeks ago, if nothing is locked."""
    _do(lambda purse: purse.call("leave", purse.owner), combination, rpc, key, as_json)


@app.command()
def appoint(
    agent: Annotated[str, typer.Argument(help="Who may answer on your stake: a service's key.")],
    combination: Combination = False,
    rpc: Rpc = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Let one other address answer for your stake; the zero address: nobody."""
    if not is_address(agent):
        raise SettingsInvalid(f"expected an address, got {agent}")
    _do(
        lambda purse: purse.call("appoint", to_checksum_address(agent)),
        combination,
        rpc,
        key,
        as_json,
    )


def _do(work_of: Work, combination: bool, rpc: str | None, key: str | None, as_json: bool) -> None:
    from eth_abi.abi import decode

    from oracle.adapters.abi import TOKEN, call_data
    from oracle.adapters.wallet import Wallet

    settings = read_settings(rpc=rpc, key=key)

    async def work() -> dict[str, Any]:
        site = await Site.reach(settings)
        try:
            signer = site.signer(settings, "dev:1")
            wanted = TierKind.COMBINED if combination else TierKind.OPTIMISTIC
            staked = [at for at, kind in site.chain.tiers.items() if kind is wanted]
            tier = await site.chain.tier(staked[0]) if staked else None
            if tier is None:
                name = wanted.value.lower()
                raise SettingsInvalid(f"no {name} tier is deployed: run einproof deploy")
            decimals = ETHER_DECIMALS
            if tier.coin is not None:
                data = call_data("decimals", among=TOKEN)
                (decimals,) = decode(("uint8",), await site.chain.call(tier.coin.token, data))
            wallet = Wallet(site.chain, signer, site.identity.chain_id)
            for call in work_of(Purse(tier.vault, signer.address, tier.coin, decimals)):
                await wallet.transact(call)
            account = await site.chain.account(tier, signer.address)
            return {
                "operator": signer.address,
                "vault": tier.vault,
                "coin": "ether" if tier.coin is None else tier.coin.token,
                "stake_gwei": account.stake,
                "locked_gwei": account.locked,
                "queued_gwei": account.queued,
                "free_gwei": account.free,
                "ready_at": account.ready_at,
                "suspended": account.suspended,
            }
        finally:
            site.chain.node.close()

    report = asyncio.run(work())
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        typer.echo(f"{name:14} {value}")
