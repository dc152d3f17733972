"""What the sections refuse, in words for the person who wrote it."""

import re
from collections.abc import Iterator, Mapping

from evenwatt.config.faults import Fault, Place
from evenwatt.config.refusals import KeyPath, Misfit, Refused

__all__ = ["faults_of", "in_words"]

_LONGEST_SHOWN = 60
_CREDENTIALS_IN_URL = re.compile(r"(?<=://).*(?=@)|(?<=\?).+")


def faults_of(refusal: Refused, places: Mapping[KeyPath, Place]) -> Iterator[Fault]:
    """Yield every fault behind a refusal.

    Args:
        refusal: By the settings as a whole.
        places: Where the values stand that were refused; what the file lacks is placed at its section.
    """
    for misfit in refusal.misfits:
        text = in_words(misfit, places.get(misfit.path))
        yield Fault(line=_line(misfit.path, places), path=misfit.path, text=text)


def in_words(misfit: Misfit, place: Place | None) -> str:
    """Return a misfit as a sentence.

    Args:
        misfit: Of which what was got is shown, where it says so.
        place: What stands where it is; None: nothing.
    """
    if misfit.got is None:
        return misfit.text
    if place is None:
        return f"expected {misfit.text}"
    return f"got {place.found if misfit.got == 'shape' else _shown(place)}, expected {misfit.text}"


def _line(path: KeyPath, places: Mapping[KeyPath, Place]) -> int:
    while path not in places:
        path = path[:-1]
    return places[path].line


def _shown(place: Place) -> str:
    if place.text is None:
        return place.found
    text = _CREDENTIALS_IN_URL.sub("<secret>", place.text) if "://" in place.text else place.text
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
