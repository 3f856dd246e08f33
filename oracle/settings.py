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
    key: str = Field("", description="keystore file; dev:N, the default, on chain id 31337 only")
    password: SecretStr = SecretStr("")
    password_file: Path | None = None

    # what it answers, and how
    payee: str = Field("", description="who is paid; default the key's own address")
    min_fee: int = Field(0, ge=0)
    min_callback_price: int = Field(0, ge=0)
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

    def secret(self) -> str:
        """The keystore's password. Raises SettingsInvalid if its file cannot be read."""
        if self.password_file is None:
            return self.password.get_secret_value()
        try:
            return self.password_file.read_text().rstrip("\r\n")
        except OSError as error:
            raise SettingsInvalid(
                f"cannot read the password file {self.password_file}: {error.strerror}"
            ) from error


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
