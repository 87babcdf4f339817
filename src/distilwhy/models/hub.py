"""Whether the model hub can be reached, found out without waiting for it again and again."""

from __future__ import annotations

from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

CONFIG = "config.json"
UNCONNECTED = ("ConnectError", "ConnectTimeout")


def is_out_of_reach(name: str) -> bool:
    """Return whether a model is not on this machine and the hub that may have it does not answer.

    Loading asks the hub five times more over 23 seconds, or minutes where a firewall is silent.

    Args:
        name: A model's name on the hub; what cannot be one is in reach.
    """
    try:
        if not isinstance(try_to_load_from_cache(name, CONFIG), str):
            get_hf_file_metadata(hf_hub_url(name, CONFIG))
    except Exception as error:  # of httpx or httpx2, by the version; others are told by loading
        return type(error).__name__ in UNCONNECTED
    return False
