"""einproof stake: an operator's stake in the vault, by hand."""

import asyncio
import json
from typing import Annotated, Any

import typer
from eth_utils.address import is_address, to_checksum_address

from oracle.bootstrap import Site
from oracle.domain.chain import Call
from oracle.domain.errors import SettingsInvalid
from oracle.domain.request import TierKind
from oracle.settings import read_settings

GWEI = 10**9

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="An operator's stake in the vault."
)

Amount = Annotated[float, typer.Argument(min=0, metavar="ETHER", help="How much.")]
Rpc = Annotated[str | None, typer.Option(help="Node: http(s) URL or IPC socket.")]
Key = Annotated[str | None, typer.Option(help="Keystore file (dev:N on 31337; default dev:1).")]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


@app.command()
def show(rpc: Rpc = None, key: Key = None, as_json: Json = False) -> None:
    """What is staked, locked, queued and free."""
    _do(None, 0, rpc, key, as_json)


@app.command()
def add(amount: Amount, rpc: Rpc = None, key: Key = None, as_json: Json = False) -> None:
    """Stake that much more."""
    _do(("stake",), round(amount * GWEI) * GWEI, rpc, key, as_json)


@app.command()
def withdraw(amount: Amount, rpc: Rpc = None, key: Key = None, as_json: Json = False) -> None:
    """Queue that much, in place of what was queued; in two weeks it may leave."""
    _do(("queueWithdrawal", round(amount * GWEI)), 0, rpc, key, as_json)


@app.command()
def leave(rpc: Rpc = None, key: Key = None, as_json: Json = False) -> None:
    """Take out what was queued two weeks ago, if nothing is locked."""
    _do(("leave", None), 0, rpc, key, as_json)


@app.command()
def appoint(
    agent: Annotated[str, typer.Argument(help="Who may answer on your stake: a service's key.")],
    rpc: Rpc = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Let one other address answer for your stake; the zero address: nobody."""
    if not is_address(agent):
        raise SettingsInvalid(f"expected an address, got {agent}")
    _do(("appoint", to_checksum_address(agent)), 0, rpc, key, as_json)


def _do(
    call: tuple[Any, ...] | None, value: int, rpc: str | None, key: str | None, as_json: bool
) -> None:
    from oracle.adapters.abi import call_data
    from oracle.adapters.wallet import Wallet

    settings = read_settings(rpc=rpc, key=key)

    async def work() -> dict[str, Any]:
        site = await Site.reach(settings)
        try:
            signer = site.signer(settings, "dev:1")
            staked = [at for at, kind in site.chain.tiers.items() if kind is TierKind.OPTIMISTIC]
            tier = await site.chain.tier(staked[0]) if staked else None
            if tier is None:
                raise SettingsInvalid("no optimistic tier is deployed: run einproof deploy")
            if call is not None:
                name, *arguments = call
                data = call_data(name, *[signer.address if a is None else a for a in arguments])
                wallet = Wallet(site.chain, signer, site.identity.chain_id)
                await wallet.transact(Call(tier.vault, data, value))
            account = await site.chain.account(tier, signer.address)
            return {
                "operator": signer.address,
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
