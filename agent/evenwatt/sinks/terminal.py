"""Text for a terminal: what engines and files say is never taken for control characters."""

__all__ = ["printed"]


def printed(text: object) -> str:
    """Return text whose control characters, which could steer a terminal, are made visible."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(text)
    )
