"""Transactions made by hand: signed, sent, waited for. For commands; the service has its own way,
which survives its death."""

import asyncio
from dataclasses import dataclass

from oracle.adapters.chain import NodeChain
from oracle.domain.chain import TRANSACTION_GAS, Call, Receipt, Unsigned
from oracle.domain.errors import CallRefused, ChainUnavailable, WalletEmpty
from oracle.ports import Signer

POLL = 0.1
PATIENCE = 300.0


@dataclass(frozen=True)
class Wallet:
    """One key on one chain."""

    chain: NodeChain
    signer: Signer
    chain_id: int

    async def transact(self, call: Call) -> tuple[bytes, Receipt]:
        """Hash and receipt of a transaction that succeeded. Raises CallRefused before anything is
        sent if it would revert, WalletEmpty, and ChainUnavailable if it is not mined in time."""
        chain, sender = self.chain, self.signer.address
        fees, held = await chain.fees(), await chain.balance(sender)
        self._afford(call.value + 1, held)
        # The head of a development chain may be old, and deadlines pass without blocks.
        gas = await chain.preflight(sender, call, "pending")
        gas = min(gas + gas // 5, TRANSACTION_GAS)
        self._afford(gas * fees.most + call.value, held)
        nonce = await chain.nonce(sender)
        signed = self.signer.sign(Unsigned(self.chain_id, nonce, call, gas, fees))
        await chain.send(signed.raw)
        for _ in range(int(PATIENCE / POLL)):
            receipt = await chain.receipt(signed.hash)
            if receipt is not None:
                if not receipt.succeeded:
                    raise CallRefused("Reverted", f"transaction 0x{signed.hash.hex()}")
                return signed.hash, receipt
            await asyncio.sleep(POLL)
        raise ChainUnavailable(
            f"transaction 0x{signed.hash.hex()} was not mined within {PATIENCE:.0f} s: look for it "
            "before sending another"
        )

    def _afford(self, needed: int, held: int) -> None:
        if held < needed:
            raise WalletEmpty(
                f"wallet {self.signer.address} has {held} wei and needs {needed}: send it ether"
            )
