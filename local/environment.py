"""The environments of the processes of `make up`, without the user's own AWS settings."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from local.key import Key

LOOPBACK = "127.0.0.1"
# What a process needs from the user's machine, and nothing that could change its behaviour.
KEPT_FOR_DAEMONS = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "USER")
SIMULATOR_DURATIONS = ("LOCAL_CREATE_SECONDS", "LOCAL_DELETE_SECONDS", "LOCAL_UPDATE_SECONDS")
HUB_DOCUMENTS = "LOCAL_HUB_DOCUMENTS"
# Settings that would change what Terraform does here.
TERRAFORM_REDIRECTIONS = ("TF_CLI_ARGS", "TF_DATA_DIR", "TF_VAR_", "TF_WORKSPACE")


class NotLoopbackError(Exception):
    """The address of the embedded AWS is not on this machine."""


def without_aws(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the user's environment without AWS settings and settings that redirect Terraform."""
    dropped = ("AWS_", *TERRAFORM_REDIRECTIONS)
    return {name: value for name, value in environ.items() if not name.startswith(dropped)}


def for_daemons(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the user's environment that background processes get."""
    kept = {name: environ[name] for name in KEPT_FOR_DAEMONS if name in environ}
    return {**kept, "TZ": "UTC", "PYTHONUNBUFFERED": "1"}


def simulator_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the simulator's settings that the user chose."""
    chosen = {name: environ[name] for name in SIMULATOR_DURATIONS if environ.get(name)}
    if environ.get(HUB_DOCUMENTS):
        chosen[HUB_DOCUMENTS] = str(Path(environ[HUB_DOCUMENTS]).resolve())
    return chosen


def embedded_aws(emulator_url: str, simulator_url: str, region: str, key: Key) -> dict[str, str]:
    """Return the settings with which Terraform and boto3 only reach the embedded AWS.

    Raises NotLoopbackError.
    """
    for url in (emulator_url, simulator_url):
        if urlsplit(url).hostname != LOOPBACK:
            raise NotLoopbackError(f"{url} is not on this machine: refused.")
    return {
        "AWS_ENDPOINT_URL": emulator_url,
        "AWS_ENDPOINT_URL_SAGEMAKER": simulator_url,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": simulator_url,
        "AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING": simulator_url,
        **key.environment,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "3",
    }
