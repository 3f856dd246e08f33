"""What the service refuses or cannot do; every message is one line that says what to do next."""

from prover.errors import EinproofError


class OracleError(EinproofError):
    """The root of the service's errors."""


# --- the chain ---------------------------------------------------------------------------------


class ChainUnavailable(OracleError):
    """The node does not answer; worth trying again."""


class BeaconUnavailable(OracleError):
    """No signature of the round is to be had; worth trying again."""


class TooSoon(OracleError):
    """Worth trying again in `wait` seconds of the chain's time."""

    def __init__(self, why: str, wait: int) -> None:
        super().__init__(f"{why}: {wait} s to wait")
        self.wait = wait


class NodeRefused(OracleError):
    """The node answers, and will not do what it was asked."""


class Unsendable(NodeRefused):
    """No node takes this transaction, however often: it is too large, or beyond a gas limit."""


class ChainMoved(OracleError):
    """The chain changed while it was being read; worth reading again."""


class CallRefused(OracleError):
    """A contract would revert: `name` is its error, `detail` the error's arguments."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(f"{name}({detail})")
        self.name = name
        self.detail = detail


class NonceTaken(OracleError):
    """The account has already used this nonce."""


class Underpriced(OracleError):
    """The node wants a higher fee for this transaction."""


class WalletEmpty(OracleError):
    """The account cannot pay for the transaction."""


class KeyRefused(OracleError):
    """The signing key cannot be used here."""


# --- a request ---------------------------------------------------------------------------------


class Declined(OracleError):
    """This service will not answer the request; the message is the reason that it shows."""


class ModelMissing(Declined):
    """No folder of this service holds the model."""


class Underpaid(Declined):
    """The fee is below what this service asks."""


class WrongTier(Declined):
    """The request asks for an assurance that this service does not give."""


class TooLate(Declined):
    """The request's deadline has passed."""


class InputRefused(Declined):
    """The model has no valid answer for this input: wrong length, or a range is exceeded."""


class InputHidden(Declined):
    """The model takes or gives committed tensors, whose openings a request cannot carry."""


class Uncovered(Declined):
    """No free stake covers the answer; the requester can ask for less coverage, or for a proof."""


class Outrun(Declined):
    """Another's answer stands."""


class ProverFailed(OracleError):
    """Proving ended without a proof; worth trying again."""


class EngineDisagrees(OracleError):
    """The integer engine and the prover computed different outputs; nothing may be posted."""


class EngineFailed(OracleError):
    """An engine ended without an answer; worth trying again."""


class BoardUnavailable(OracleError):
    """The board on which a committee's words are exchanged does not answer, or refuses a word."""


# --- what the service stands on ----------------------------------------------------------------


class StoreDamaged(OracleError):
    """The database cannot be read."""


class StoreForeign(OracleError):
    """The database belongs to another chain or oracle."""


class StoreBusy(OracleError):
    """The database is locked by another process; worth trying again."""


class SettingsInvalid(OracleError):
    """A setting is missing or has a value that cannot be used."""


class DeviceMissing(OracleError):
    """What the engine is to compute on is not there."""


class PortInUse(OracleError):
    """The address for metrics and health is taken."""
