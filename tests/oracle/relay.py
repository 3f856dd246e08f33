"""A relay of drand's rounds, which is a server of our own: it says what it was told. And drand's
beacon, with a round that we have at a midnight of ours."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from oracle.adapters.drand import NETWORKS


class Relay:
    """Serves until it is closed; a round that it was not told of is "too early"."""

    def __init__(self) -> None:
        said = self._said = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = said.get(self.path)
                self.send_response(200 if body else 404)
                self.end_headers()
                self.wfile.write(json.dumps(body or {"error": "too early"}).encode())

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def say(self, network, round, signature, told=None):
        """`network`: its beacon's contract. Asked for `round`, it says that it is `told`."""
        path = f"/{NETWORKS[network]}/public/{round}"
        self._said[path] = {"round": told or round, "signature": signature.hex()}

    def speaks(self, tls):
        """By HTTPS from now on."""
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http", "https", 1)

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def drands(office, midnight):
    """A committee's beacon becomes drand's evmnet, of which round 1000 is midnight's first: its
    code, but for when its rounds begin. It takes the signature that drand made of that round."""
    evm, office.evmnet = office.evm, office.desk.beacon.address
    made = evm.deploy("contracts/random/DrandEvmnet.sol")
    genesis = evm.call(made.functions.genesis())
    code = bytes(evm.web3.eth.get_code(made.address))
    begins = midnight - 998 * evm.call(made.functions.period())
    assert genesis.to_bytes(32, "big") in code
    code = code.replace(genesis.to_bytes(32, "big"), begins.to_bytes(32, "big"))
    evm.rpc("anvil_setCode", office.evmnet, "0x" + code.hex())
