"""JSON-RPC to a node over HTTP or a socket, off the event loop, with errors that have types."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import requests
from web3 import HTTPProvider, IPCProvider
from web3.exceptions import Web3Exception

from oracle.adapters.abi import refusal
from oracle.domain.errors import (
    ChainUnavailable,
    NodeRefused,
    NonceTaken,
    OracleError,
    Underpriced,
    Unsendable,
    WalletEmpty,
)

T = TypeVar("T")

#: What nodes call these, in Anvil's, geth's, Nethermind's, Besu's and Erigon's words.
SEND_ERRORS: tuple[tuple[type[OracleError], tuple[str, ...]], ...] = (
    (NonceTaken, ("nonce too low", "nonce is too low", "oldnonce")),
    (
        Underpriced,
        (
            "underpriced",
            "fee too low",
            "feetoolow",
            "less than block base fee",
            "fee cap less than",
            "max fee per gas",
        ),
    ),
    (WalletEmpty, ("insufficient funds", "insufficient balance", "insufficientfunds")),
    (
        Unsendable,
        (
            "oversized",
            "too large",
            "too long",
            "size limit",
            "maxtxsize",
            "intrinsic gas",
            "floor data gas",
            "gas limit",
            "gaslimit",
        ),
    ),
)
#: HTTP's status for it.
TOO_LARGE = 413
KNOWN_ALREADY = ("already known", "already imported", "known transaction", "alreadyknown")


class Node:
    """A node's methods. Every call may raise ChainUnavailable."""

    def __init__(self, url: str, timeout: float = 30.0, threads: int = 4) -> None:
        self.url = url
        self._threads = ThreadPoolExecutor(threads, "rpc")
        self._provider = (
            HTTPProvider(
                url, request_kwargs={"timeout": timeout}, exception_retry_configuration=None
            )
            if url.startswith(("http://", "https://"))
            else IPCProvider(url, timeout=int(timeout))
        )

    async def rpc(self, method: str, *parameters: Any) -> Any:
        """The result. Raises CallRefused for a revert, NodeRefused for any other refusal."""
        answer = await self._off_loop(lambda: self._ask(method, parameters))
        error = answer.get("error")
        if error is None:
            return answer.get("result")
        raise _typed(method, error)

    async def send(self, raw: bytes) -> None:
        """Hands over a signed transaction; that the node has it already is no error.
        Raises NonceTaken, Underpriced, WalletEmpty, Unsendable, NodeRefused."""
        try:
            await self.rpc("eth_sendRawTransaction", "0x" + raw.hex())
        except NodeRefused as error:
            text = str(error).lower()
            if any(words in text for words in KNOWN_ALREADY):
                return
            for kind, phrases in SEND_ERRORS:
                if any(phrase in text for phrase in phrases):
                    raise kind(str(error)) from error
            raise

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, method: str, parameters: tuple[Any, ...]) -> dict[str, Any]:
        try:
            return dict(self._provider.make_request(method, list(parameters)))
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == TOO_LARGE:
                return {"error": {"message": "the request is too large for the node's host"}}
            raise self._away(error) from error
        except (OSError, requests.RequestException, Web3Exception, json.JSONDecodeError) as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> ChainUnavailable:
        return ChainUnavailable(
            f"no node answers at {_shown(self.url)} ({_brief(error)}): start one, or name "
            "another with EINPROOF_RPC"
        )

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _typed(method: str, error: Any) -> OracleError:
    message = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    data = error.get("data") if isinstance(error, dict) else None
    if isinstance(data, dict):  # some nodes wrap it once more
        data = data.get("data")
    reverted = "revert" in message.lower() or (isinstance(error, dict) and error.get("code") == 3)
    if reverted and method in ("eth_call", "eth_estimateGas"):
        text = data if isinstance(data, str) and data.startswith("0x") else "0x"
        return refusal(bytes.fromhex(text[2:]))
    return NodeRefused(f"{method}: {message}")


def _shown(url: str) -> str:
    """The address without what may be a secret: user, path and query of a hosted node's URL."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"


def _brief(error: Exception) -> str:
    """The innermost reason, without addresses (they may carry keys)."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    text = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
    return type(cause).__name__ if "://" in text or len(text) > 80 else text
