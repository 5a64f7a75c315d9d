"""Ray's token authentication: set this process's mode and token, and restore what was set before."""

from __future__ import annotations

import os
import secrets
import sys
from typing import Any

from mim4dd.errors import InputError

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
# Despite its name Ray reads it on Linux too: at 0, a local cluster's node has the address 127.0.0.1.
CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"

# The environment's values before `authenticate` changed them.
_before: dict[str, str | None] = {}


def authenticate(address: str) -> None:
    """Choose mode and token for `local` or for a running cluster; a mode that the user has set is kept.

    A local cluster listens on the loopback alone and has a token that only this process and its children know. An
    existing token is sent to a running cluster; one without authentication accepts it too.
    Raises: InputError when a token is required and there is none.
    """
    restore()
    if address == "local":
        if CLUSTERS not in os.environ:
            _set(CLUSTERS, "0")
        if MODE not in os.environ or (_mode() == "token" and not token_is_there()):
            _set(TOKEN, secrets.token_hex(32))
            _set(MODE, "token")
    elif MODE not in os.environ:
        _require_token_file()
        _set(MODE, "token" if token_is_there() else "disabled")
    elif _mode() == "token" and not token_is_there():
        _require_token_file()
        raise InputError(
            f"{MODE}=token needs a token, but there is none; set {TOKEN_PATH} to the file that the head node uses"
        )
    _reload_in_ray()


def restore() -> None:
    """Put the environment back as it was before `authenticate`."""
    for name, value in _before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _before.clear()


def token_is_there() -> bool:
    """Whether Ray would find a token in the environment or in a file."""
    path = os.environ.get(TOKEN_PATH) or os.path.expanduser("~/.ray/auth_token")
    return bool(os.environ.get(TOKEN)) or os.path.isfile(path)


def refusal() -> str:
    """Why a cluster that requires a token has refused this process, and the remedy."""
    remedy = f"set {TOKEN_PATH} to the file that its head node uses (`ray get-auth-token` prints the token)"
    if MODE not in _before and _mode() == "disabled":
        return f"it requires an authentication token, but {MODE} is 'disabled' here; unset that, and {remedy}"
    sent = _mode() == "token" and token_is_there()
    reason = "it has another authentication token" if sent else "it requires an authentication token"
    return f"{reason}; {remedy}"


def _mode() -> str:
    return os.environ.get(MODE, "").lower()


def _require_token_file() -> None:
    path = os.environ.get(TOKEN_PATH)
    if path and not os.environ.get(TOKEN) and not os.path.isfile(path):
        raise InputError(f"{TOKEN_PATH} must name a file, but there is none at '{path}'; see `ray get-auth-token`")


def _set(name: str, value: str) -> None:
    _before.setdefault(name, os.environ.get(name))
    os.environ[name] = value


def _reload_in_ray() -> None:
    """Let Ray, which reads its environment when it is imported, read what has changed since."""
    if "ray" not in sys.modules:
        return
    from ray import _raylet
    from ray._private import ray_constants

    native: Any = _raylet
    native.Config.initialize("")
    native.AuthenticationTokenLoader.instance().reset_cache()
    ray_constants.ENABLE_RAY_CLUSTER = ray_constants.env_bool(CLUSTERS, not ray_constants.IS_WINDOWS_OR_OSX)
