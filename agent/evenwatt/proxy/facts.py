"""What is known of the engine behind a proxy."""

from typing import Final

from msgspec import Struct

__all__ = ["UNKNOWN_ENGINE", "EngineFacts"]


class EngineFacts(Struct, frozen=True, kw_only=True):
    """An engine as far as it is known.

    Attributes:
        kind: `ollama`, `vllm`, `sglang`, `llamacpp`; `other` where it is none of these.
        only_model: The name of the one model that it serves; None where there are several, or not known.
    """

    kind: str
    only_model: str | None = None

    @property
    def has_own_account(self) -> bool:
        """Whether its streams tell their tokens unasked, so that asking would only move things."""
        return self.kind == "llamacpp"

    @property
    def can_tell_running_usage(self) -> bool:
        """Whether it can tell usage with each event."""
        return self.kind in {"vllm", "sglang"}


UNKNOWN_ENGINE: Final = EngineFacts(kind="other")
