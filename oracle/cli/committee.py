"""einproof committee: a member's seats, the day's draw, summonses and what they cost, by hand."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from oracle.adapters.deployment import BLS_COMMITTEE, COMMITTEE
from oracle.cli.prove import parse_word
from oracle.domain.committee import DAY
from oracle.domain.errors import CallRefused, SettingsInvalid, WrongTier
from oracle.settings import read_settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Seats in the committee, its draw, summonses, and fines for members that are silent.",
)

Seat = Annotated[int, typer.Argument(min=0, help="Number of the seat; see show.")]
Rpc = Annotated[str | None, typer.Option(help="Node: http(s) URL or IPC socket.")]
Key = Annotated[str | None, typer.Option(help="Keystore file (dev:N on 31337; default dev:4).")]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]
Large = Annotated[bool, typer.Option(help="The committee of many, which signs as one.")]
Id = Annotated[str, typer.Argument(metavar="REQUEST", help="The request's id: 0x...")]
Report = dict[str, Any]

#: How a draw is refused where a service's collector was first: before it is sent, or mined.
FIRST = ("AlreadyDrawn", "Reverted")


@app.command()
def show(rpc: Rpc = None, key: Key = None, large: Large = False, as_json: Json = False) -> None:
    """The seats, who holds them, and today's committee."""
    _do(_look, rpc, key, large, as_json)


@app.command()
def enrol(
    seat: Seat, rpc: Rpc = None, key: Key = None, large: Large = False, as_json: Json = False
) -> None:
    """Take a free seat, or where none is free the next new one, from the day on that is shown
    (tomorrow, or the day after from 23:00 UTC on): locks a seat's stake in the vault."""
    _do(_seat("enrol", seat), rpc, key, large, as_json)


@app.command()
def retire(
    seat: Seat, rpc: Rpc = None, key: Key = None, large: Large = False, as_json: Json = False
) -> None:
    """Serve until the day that is shown: today still, from 23:00 UTC on tomorrow, too. Anyone may
    retire a seat whose owner forfeited its stake."""
    _do(_seat("retire", seat), rpc, key, large, as_json)


@app.command()
def leave(
    seat: Seat, rpc: Rpc = None, key: Key = None, large: Large = False, as_json: Json = False
) -> None:
    """Free a retired seat's stake, eight days after its last."""
    _do(_seat("leave", seat), rpc, key, large, as_json)


@app.command()
def draw(rpc: Rpc = None, key: Key = None, large: Large = False, as_json: Json = False) -> None:
    """Draw today's committee, if nobody has; anyone may. Publishes the beacon's round first, if
    nobody has: drand's from the relay EINPROOF_DRAND."""
    _do(_draw, rpc, key, large, as_json)


@app.command()
def key(rpc: Rpc = None, key: Key = None, as_json: Json = False) -> None:
    """Register the BLS key of your account, with the proof that it is yours: before a seat in the
    committee of many. It is made of the account's key; there is nothing to keep."""
    _do(_key, rpc, key, True, as_json)


@app.command()
def summon(
    request: Id, rpc: Rpc = None, key: Key = None, large: Large = False, as_json: Json = False
) -> None:
    """Demand that the committee speaks on-chain, on a request of yours that nobody answered; with
    the bond, whose parts for silent members return (reclaim)."""
    _do(_summon(parse_word(request, "REQUEST")), rpc, key, large, as_json)


@app.command()
def fine(
    request: Id, rpc: Rpc = None, key: Key = None, large: Large = False, as_json: Json = False
) -> None:
    """Fine all who were summoned and did not reveal in time; anyone may."""
    _do(_fine(parse_word(request, "REQUEST")), rpc, key, large, as_json)


@app.command()
def reclaim(
    request: Id, rpc: Rpc = None, key: Key = None, large: Large = False, as_json: Json = False
) -> None:
    """Credit who summoned with the bond's parts of those who did not reveal in time; anyone may."""
    _do(_reclaim(parse_word(request, "REQUEST")), rpc, key, large, as_json)


@app.command()
def withdraw(rpc: Rpc = None, key: Key = None, large: Large = False, as_json: Json = False) -> None:
    """Take what you are credited with: parts of bonds, for your words on-chain or reclaimed."""
    _do(_withdraw, rpc, key, large, as_json)


class _Desk:
    """A committee tier of a site, and a key there; `relay` has the rounds of its beacons."""

    def __init__(self, site: Any, wallet: Any, large: bool, relay: str) -> None:
        from oracle.adapters.drand import DrandRounds

        self.wallet = wallet
        self.rounds = DrandRounds(relay, site.deployment.beacons)
        self.chain = site.chain
        self.start = site.deployment.block
        self.council = site.deployment.address(BLS_COMMITTEE if large else COMMITTEE)

    async def read(self, to: str, kinds: tuple[str, ...], name: str, *arguments: Any) -> Any:
        from eth_abi.abi import decode

        from oracle.adapters.abi import call_data

        return decode(kinds, await self.chain.call(to, call_data(name, *arguments)))

    async def logs(self, contract: str, kind: bytes, id: bytes) -> Any:
        head = (await self.chain.head()).number
        topics = ["0x" + kind.hex(), "0x" + id.hex()]
        return await self.chain.logs(self.start, head, [contract], topics)

    async def tell(self, to: str, data: bytes, value: int = 0) -> None:
        from oracle.domain.chain import Call

        await self.wallet.transact(Call(to, data, value))

    async def credit(self, account: str) -> int:
        """Wei of summonses' bonds."""
        return int((await self.read(self.council, ("uint256",), "credit", account))[0])


def _seat(name: str, seat: int) -> Callable[[_Desk], Awaitable[Report]]:
    async def work(desk: _Desk) -> Report:
        from oracle.adapters.abi import FUNCTIONS, MEMBERS, call_data

        among = MEMBERS if name in MEMBERS else FUNCTIONS
        await desk.tell(desk.council, call_data(name, seat, among=among))
        return await _look(desk)

    return work


async def _draw(desk: _Desk) -> Report:
    epoch = (await desk.chain.head()).timestamp // DAY
    tier = await desk.chain.tier(desk.council)
    if tier is None:
        raise WrongTier(f"{desk.council} vouches with something else than its pin says")
    if await desk.chain.committee(tier, epoch) is None:
        round = await desk.chain.round_of(tier, epoch)
        if not round.known:
            signature = await desk.rounds.signature(round)
            call = desk.chain.publish_call(round.beacon, round.round, signature)
            await desk.wallet.transact(call)
        try:
            await desk.wallet.transact(desk.chain.draw_call(tier))
        except CallRefused as reason:
            if reason.name not in FIRST or not await _is_drawn(desk, tier):
                raise
    return await _look(desk)


async def _is_drawn(desk: _Desk, tier: Any) -> bool:
    """Whether today's committee is there; what another sent may not be mined yet."""
    from oracle.adapters.wallet import PATIENCE, POLL

    for _ in range(int(PATIENCE / POLL)):
        epoch = (await desk.chain.head()).timestamp // DAY
        if await desk.chain.committee(tier, epoch) is not None:
            return True
        await asyncio.sleep(POLL)
    return False


async def _key(desk: _Desk) -> Report:
    from oracle.adapters.bls import has_key, keys_of, register_call

    keys, owner = await keys_of(desk.chain, desk.council), desk.wallet.signer.address
    known = await has_key(desk.chain, keys, owner)
    if not known:
        await desk.wallet.transact(await register_call(desk.chain, keys, desk.wallet.signer))
    return {"keys": keys, "owner": owner, "registered": "before" if known else "now"}


def _summon(id: bytes) -> Callable[[_Desk], Awaitable[Report]]:
    async def work(desk: _Desk) -> Report:
        from oracle.adapters.abi import call_data

        request = await _asked(desk, id)
        (bond,) = await desk.read(desk.council, ("uint256",), "summonsBond")
        await desk.tell(desk.council, call_data("summon", request.fields), bond)
        summons = await desk.chain.summons(request)
        return {
            "request": "0x" + id.hex(),
            "bond_wei": bond,
            "day": summons.epoch,
            "commit_by": summons.commit_by,
            "reveal_by": summons.reveal_by,
        }

    return work


def _fine(id: bytes) -> Callable[[_Desk], Awaitable[Report]]:
    async def work(desk: _Desk) -> Report:
        from oracle.adapters.abi import call_data, topic

        request = await _asked(desk, id)
        summons = await desk.chain.summons(request)
        tier = await desk.chain.tier(desk.council)
        if summons is None or tier is None:
            raise SettingsInvalid(f"nobody was summoned for request 0x{id.hex()}")
        committee = await desk.chain.committee(tier, summons.epoch)
        said = await desk.chain.spoken(request, len(committee.owners))
        logs = await desk.logs(desk.council, topic("Fined"), id)
        known = {int(log["topics"][2], 16) for log in logs}
        fined: dict[bool, list[str]] = {True: [], False: []}
        for place, (_, revealed) in enumerate(said):
            if revealed != bytes(32):
                continue
            before = committee.seats[place] in known
            if not before:
                data = call_data("fineAbsent", id, committee.members, place)
                await desk.tell(desk.council, data)
            fined[before].append(committee.owners[place])
        return {"request": "0x" + id.hex(), "fined": fined[False], "fined_before": fined[True]}

    return work


def _reclaim(id: bytes) -> Callable[[_Desk], Awaitable[Report]]:
    async def work(desk: _Desk) -> Report:
        from oracle.adapters.abi import call_data

        request = await _asked(desk, id)
        before = await desk.credit(request.requester)
        await desk.tell(desk.council, call_data("reclaim", request.fields))
        gained = await desk.credit(request.requester) - before
        return {
            "request": "0x" + id.hex(),
            "requester": request.requester,
            "credited_wei": gained,
        }

    return work


async def _withdraw(desk: _Desk) -> Report:
    from oracle.adapters.abi import call_data

    owner = desk.wallet.signer.address
    amount = await desk.credit(owner)
    if amount:
        await desk.tell(desk.council, call_data("withdraw", owner))
    return {"owner": owner, "withdrawn_wei": amount}


async def _asked(desk: _Desk, id: bytes) -> Any:
    """The request of that id, from its log. Raises SettingsInvalid if it is no such committee's."""
    from eth_abi.abi import decode
    from eth_utils.address import to_checksum_address

    from oracle.adapters.abi import REQUEST, request_from, topic

    logs = await desk.logs(desk.chain.oracle, topic("Requested"), id)
    if not logs:
        raise SettingsInvalid(f"the oracle was asked no request 0x{id.hex()}")
    fields, input = decode((REQUEST, "bytes"), bytes.fromhex(logs[-1]["data"][2:]))
    request = request_from(fields, input, id, to_checksum_address)
    if request.assurance != desk.council:
        raise SettingsInvalid(f"request 0x{id.hex()} is of tier {request.assurance}")
    return request


async def _look(desk: _Desk) -> Report:
    from eth_utils.address import to_checksum_address

    epoch = (await desk.chain.head()).timestamp // DAY
    (count,) = await desk.read(desk.council, ("uint256",), "seatCount")
    seats = []
    for seat in range(count):
        ((owner, stake, since, until),) = await desk.read(
            desk.council, ("(address,uint48,uint24,uint24)",), "seatAt", seat
        )
        owner = to_checksum_address(owner)
        mine = owner == desk.wallet.signer.address
        held = {"seat": seat, "owner": owner, "mine": mine, "stake_gwei": stake}
        seats.append({**held, "from_day": since, "until_day": until})
    tier = await desk.chain.tier(desk.council)
    drawn = await desk.chain.committee(tier, epoch) if tier else None
    members = drawn.owners if drawn else []
    return {"tier": desk.council, "day": epoch, "seats": seats, "committee": members}


def _do(
    work: Callable[[_Desk], Awaitable[Report]],
    rpc: str | None,
    key: str | None,
    large: bool,
    as_json: bool,
) -> None:
    from oracle.adapters.wallet import Wallet
    from oracle.bootstrap import Site

    settings = read_settings(rpc=rpc, key=key)

    async def whole() -> Report:
        site = await Site.reach(settings)
        try:
            signer = site.signer(settings, "dev:4")
            wallet = Wallet(site.chain, signer, site.identity.chain_id)
            return await work(_Desk(site, wallet, large, settings.drand))
        finally:
            site.chain.node.close()

    report = asyncio.run(whole())
    if as_json:
        typer.echo(json.dumps(report))
        return
    if "seats" not in report:
        for name, value in report.items():
            shown = ", ".join(value) or "nobody" if isinstance(value, list) else value
            typer.echo(f"{name:12} {shown}")
        return
    for name in ("tier", "day"):
        typer.echo(f"{name:10} {report[name]}")
    for held in report["seats"]:
        until = f", until day {held['until_day']}" if held["until_day"] else ""
        mine = "  yours" if held["mine"] else ""
        typer.echo(
            f"seat {held['seat']:5} {held['owner']}  {held['stake_gwei']} gwei, from day "
            f"{held['from_day']}{until}{mine}"
        )
    for place, owner in enumerate(report["committee"]):
        typer.echo(f"place {place:4} {owner}")
