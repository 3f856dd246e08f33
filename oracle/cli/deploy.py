"""einproof deploy: compiles the contracts and deploys the set with Ape."""

import importlib.util
import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from oracle.adapters.keys import DEVELOPMENT_CHAIN
from oracle.domain.errors import ChainUnavailable, KeyRefused, SettingsInvalid
from oracle.settings import read_settings
from oracle.toolchain import ROOT

SCRIPT = ROOT / "scripts" / "deploy.py"


def deploy(
    rpc: Annotated[str | None, typer.Option(help="Node: http(s) URL.")] = None,
    account: Annotated[
        str, typer.Option(help="Ape account; default Anvil's first, on chain id 31337 only.")
    ] = "",
    srs: Annotated[
        Path | None, typer.Option(envvar="EINPROOF_SRS", help="SRS file; default: development.")
    ] = None,
    beacon: Annotated[
        str,
        typer.Option(help="DrandEvmnet or DrandQuicknet; default by chain."),
    ] = "",
    members: Annotated[
        int,
        typer.Option(help="Of a committee; from 24 on, of the one whose members sign as one."),
    ] = 0,
    attester: Annotated[
        list[str] | None,
        typer.Option(help="Address of one of the attested tier's attesters; may be repeated."),
    ] = None,
    token: Annotated[str, typer.Option(help="ERC-20 that stakes are in; default: ether.")] = "",
    price: Annotated[str, typer.Option(help="How many of the token are worth an ether.")] = "",
    combination: Annotated[
        str,
        typer.Option(help="Tiers that vouch together; with attesters, audited:0.1+attested."),
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Deploy a second set.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Compile and deploy all contracts, and write deployments/<chain id>.json."""
    settings = read_settings(rpc=rpc)
    path = None if srs is None else srs.resolve()
    where = None if settings.deployment is None else settings.deployment.resolve()
    os.chdir(ROOT)  # ape's project is the folder that one is in
    with Console(stderr=True).status(f"compiling and deploying by {settings.rpc}"):
        how = {"beacon_name": beacon, "members": members, "token": token, "price": price}
        how |= {"attesters": attester or (), "combination": combination}
        deployment = _deploy(settings.rpc, account, path, where, force, how)
    if as_json:
        typer.echo(json.dumps(deployment))
    else:
        _show(deployment)


def _show(deployment: dict[str, Any]) -> None:
    for name, entry in deployment["contracts"].items():
        typer.echo(f"{name:21} {entry['address']}")
    if "DevelopmentBeacon" in deployment["contracts"]:
        typer.echo(f"{'beacon':21} DEVELOPMENT: anyone can compute whom audits will draw")
    named, quorum = [deployment["attesters"][name] for name in ("attesters", "quorum")]
    told = f"{quorum} of {len(named)} must approve what vouches for a key"
    unnamed = "none: no attested tier (--attester)"
    typer.echo(f"{'attesters':21} {told if named else unnamed}")
    if joined := deployment.get("combination"):
        typer.echo(f"{'combination':21} {' + '.join(part['name'] for part in joined['parts'])}")
    if coin := deployment.get("coin"):
        typer.echo(f"{'stakes in':21} {coin['token']}, counted by {coin['unit']}")
    for name in ("committee", "large_committee"):
        if rules := deployment.get(name):
            told = f"{rules['quorum']} of {rules['seats']} members must agree"
            typer.echo(f"{name.replace('_', ' '):21} {told}")
    label = "  development: anyone can forge" if deployment["srs"]["development"] else ""
    typer.echo(f"{'SRS':21} {deployment['srs']['id']}{label}")


def _deploy(
    rpc: str,
    alias: str,
    srs: Path | None,
    where: Path | None,
    force: bool,
    how: dict[str, Any],
) -> dict[str, Any]:
    import ape
    from ape.exceptions import ApeException, ProviderError
    from ape.logging import LogLevel, logger

    from prover import kernels
    from prover.srs import development_srs, load_srs

    logger.set_level(LogLevel.ERROR)  # it speaks on standard output, which is for the result
    script = deploy_script()
    tier = kernels.get()
    loaded = load_srs(tier, srs) if srs else development_srs(tier, script.DEVELOPMENT_K)
    try:
        with ape.networks.parse_network_choice(rpc):
            chain_id = ape.chain.chain_id
            known = where or script.FOLDER / f"{chain_id}.json"
            if known.name != f"{chain_id}.json":
                raise SettingsInvalid(f"expected EINPROOF_DEPLOYMENT to end in {chain_id}.json")
            if known.exists() and chain_id != DEVELOPMENT_CHAIN and not force:
                raise SettingsInvalid(f"{known} exists: pass --force to deploy a second set")
            account = _account(ape, alias, chain_id)
            return dict(script.deploy(account, loaded, known.parent, **how))
    except (ProviderError, ConnectionError) as error:
        raise ChainUnavailable(
            f"no node answers at {rpc} ({error}): start one, or name another with EINPROOF_RPC"
        ) from error
    except ApeException as error:
        raise SettingsInvalid(f"ape refused to deploy: {error}") from error


def _account(ape: Any, alias: str, chain_id: int) -> Any:
    if not alias:
        if chain_id != DEVELOPMENT_CHAIN:
            raise KeyRefused(
                f"the development account is public: expected chain id {DEVELOPMENT_CHAIN}, got "
                f"{chain_id}; name an ape account with --account"
            )
        return ape.accounts.test_accounts[0]
    if alias not in ape.accounts.aliases:
        raise KeyRefused(f"ape has no account {alias}: see ape accounts list")
    return ape.accounts.load(alias)


def deploy_script() -> Any:
    """scripts/deploy.py, which `ape run` finds by its path, and so do we."""
    spec = importlib.util.spec_from_file_location("einproof_deploy", SCRIPT)
    if spec is None or spec.loader is None:
        raise SettingsInvalid(f"expected a deployment script at {SCRIPT}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
