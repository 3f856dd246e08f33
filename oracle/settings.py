"""The service's settings: environment (EINPROOF_NAME), over a TOML file, over these defaults.

The file is named by EINPROOF_CONFIG, einproof.toml if that exists. Secrets belong in neither a
command line nor a log: the keystore's password comes from a file or from the environment.
"""

import os
from pathlib import Path
from typing import Any, Literal

from eth_utils.address import is_address, to_checksum_address
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from oracle.domain.errors import SettingsInvalid
from oracle.domain.move import Role
from oracle.domain.request import TierKind

PREFIX = "EINPROOF_"
CONFIG = "EINPROOF_CONFIG"


class Settings(BaseSettings):
    """What an operator may choose. Wei, seconds, blocks."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    # the chain
    rpc: str = Field("http://127.0.0.1:8545", description="node: http(s) URL or IPC socket")
    rpc_timeout: float = Field(30.0, gt=0)
    deployment: Path | None = Field(None, description="default deployments/<chain id>.json")
    confirmations: int | None = Field(None, ge=0, description="default 12; 0 on chain id 31337")
    poll: float | None = Field(None, gt=0, description="default 4; 0.2 on chain id 31337")

    # what the service stands on
    database: str = "sqlite:///.einproof/service.db"
    models: Path = Field(Path("."), description="folder of model folders")
    engine_device: Literal["cpu", "cuda"] = "cpu"
    key: str = Field("", description="keystore file; dev:N, the default, on chain id 31337 only")
    password: SecretStr = SecretStr("")
    password_file: Path | None = None
    roles: str = Field("operator", description="operator, challenger, member, watcher")
    challenger_key: str = Field("", description="the challenger's own; default KEY if it is alone")
    challenger_password_file: Path | None = None
    member_key: str = Field("", description="the member's own; default KEY if it is alone")
    member_password_file: Path | None = None
    watcher_key: str = Field("", description="the watcher's own; default KEY if it is alone")
    watcher_password_file: Path | None = None
    drand: str = Field("https://api.drand.sh", description="relay: rounds that draw")
    board: str = Field("", description="URL of the collector's board, where members put words")
    board_host: str = "127.0.0.1"
    board_port: int | None = Field(None, ge=0, le=65535, description="be the collector: host it")

    # what it answers, and how
    payee: str = Field("", description="who is paid; default the key's own address")
    answer_key: str = Field(
        "", description="tpm:WHERE#LABEL@REGISTERS or a PEM file; several with commas"
    )
    min_fee: int = Field(0, ge=0)
    min_callback_price: int = Field(0, ge=0)
    tiers: str = Field(
        "proof,optimistic,attested,audited,bisection", description="what an operator answers under"
    )
    max_coverage: int = Field(10**18, ge=1, description="wei a request")
    coverage_rate: int = Field(0, ge=0, description="wei an ether of coverage and hour of window")
    audit_price: int = Field(0, ge=0, description="wei for each proof that audits may ask for")
    proving: int = Field(60, ge=1, description="seconds; no request that declares less is answered")
    max_proving: int | None = Field(None, ge=1, description="seconds; default four times PROVING")
    unanswerable: bool = Field(False, description="post that there is no answer, do not decline")
    hourly_bonds: int = Field(10**18, ge=0, description="wei that first bonds may bind an hour")
    workers: int = Field(1, ge=1, le=64)
    max_attempts: int = Field(20, ge=1)
    in_flight: int = Field(16, ge=1)
    fee_cap: int = Field(500 * 10**9, gt=0, description="wei a gas unit")
    bump_after: int = Field(60, gt=0)

    # what it shows
    monitor_host: str = "127.0.0.1"
    monitor_port: int | None = Field(None, ge=0, le=65535, description="/metrics and /healthz")
    log: Literal["text", "json"] = "text"

    @field_validator("payee")
    @classmethod
    def _payee(cls, value: str) -> str:
        if value and not is_address(value):
            raise ValueError("expected an address")
        return to_checksum_address(value) if value else ""

    @field_validator("roles")
    @classmethod
    def _roles(cls, value: str) -> str:
        return _names(value, Role)

    @field_validator("tiers")
    @classmethod
    def _tiers(cls, value: str) -> str:
        if "committee" in value.lower():
            raise ValueError("a committee's members answer there: name the role member")
        if "combined" in value.lower():
            raise ValueError("a combination is answered where all of its parts are named")
        return _names(value, TierKind)

    @property
    def most_proving(self) -> int:
        """Seconds of proving that a request may declare."""
        return 4 * self.proving if self.max_proving is None else self.max_proving

    @property
    def played(self) -> frozenset[Role]:
        """The roles that this service plays."""
        return frozenset(Role(name) for name in self.roles.split(","))

    @property
    def answered(self) -> frozenset[TierKind]:
        """The tiers that an operator answers under."""
        return frozenset(TierKind(name.capitalize()) for name in self.tiers.split(","))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = Path(os.environ.get(CONFIG, "einproof.toml"))
        file = TomlConfigSettingsSource(settings_cls, path)
        return init_settings, env_settings, file

    def secret(self, file: Path | None = None) -> str:
        """The keystore's password, or that of another keystore from `file`. Raises SettingsInvalid
        if it cannot be read."""
        path = file or self.password_file
        if path is None:
            return self.password.get_secret_value()
        try:
            return path.read_text().rstrip("\r\n")
        except OSError as error:
            raise SettingsInvalid(
                f"cannot read the password file {path}: {error.strerror}"
            ) from error


def _names(value: str, kind: type[Role] | type[TierKind]) -> str:
    """Names with commas, checked against an enumeration's."""
    known = [each.value.lower() for each in kind]
    names = [name.strip().lower() for name in value.split(",")]
    if not set(names) <= set(known):
        raise ValueError(f"expected some of {', '.join(known)}, with commas")
    return ",".join(dict.fromkeys(names))


def read_settings(**given: Any) -> Settings:
    """Settings, with those given (and not None) over all others. Raises SettingsInvalid."""
    named = os.environ.get(CONFIG)
    if named and not Path(named).is_file():
        raise SettingsInvalid(f"{CONFIG} names {named}, which is no file")
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsInvalid(f"{PREFIX}{name.upper()}: {first['msg']}") from None
    except ValueError as error:  # TOML that is none
        raise SettingsInvalid(f"the settings file cannot be read: {error}") from None
