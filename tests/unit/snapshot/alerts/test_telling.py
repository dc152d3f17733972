"""Who is told what: each change once, in groups, with reminders, and not at night."""

from evenwatt.snapshot.alerts.episodes import Episode
from evenwatt.snapshot.alerts.telling import Book, Manners

MANNERS = Manners(group_wait_seconds=30.0, remind_seconds=3_600.0)


def episode(alert="EvenwattBelowBreakEven", fired=0.0, **values):
    """Return an alert that fires."""
    return Episode(alert=alert, labels={}, since_utc_seconds=0.0, fired_utc_seconds=fired, **values)


def ended(alert="EvenwattBelowBreakEven", at=100.0, **values):
    """Return one that has ended."""
    return episode(alert, ended_utc_seconds=at, **values)


def news(book, *episodes, now, manners=MANNERS, is_quiet=False):
    """Return the news of a moment."""
    by_key = {each.key: each for each in episodes}
    return book.news(by_key, manners, now_utc_seconds=now, is_quiet=is_quiet)


def tell(book, *episodes, now, **options):
    """Return the news of a moment, as taken."""
    told = news(book, *episodes, now=now, **options)
    book.note_told(told, now_utc_seconds=now)
    return told


def test_a_change_is_told_once_after_its_group_was_waited_for():
    """What changes within the wait is one message; then there is nothing more to tell."""
    book = Book()
    first, second = episode(), episode("EvenwattIdleBurn", fired=20.0)

    assert not news(book, first, now=29)
    assert len(tell(book, first, second, now=30).firing) == 2
    assert not tell(book, first, second, now=60)


def test_what_was_not_taken_is_told_with_what_came_since():
    """A dead notifier loses no change: firing and its end are told when it is back."""
    book = Book()

    assert news(book, episode(), now=40).firing
    book.note_ended([ended()], MANNERS)
    back = tell(book, episode("EvenwattIdleBurn", fired=150.0), now=200)
    assert [e.alert for e in back.firing] == ["EvenwattIdleBurn"]
    assert [e.alert for e in back.ended] == ["EvenwattBelowBreakEven"]
    assert not tell(book, episode("EvenwattIdleBurn", fired=150.0), now=300)


def test_a_second_time_is_news_again():
    """An alert that ended and fires anew is told anew."""
    book = Book()
    tell(book, episode(), now=40)
    book.note_ended([ended()], MANNERS)

    told = tell(book, episode(fired=500.0), now=600)

    assert (len(told.firing), len(told.ended)) == (1, 1)
    assert not tell(book, episode(fired=500.0), now=700)


def test_what_still_fires_is_told_again_and_all_of_it_together():
    """One reminder lists everything, and starts the time of all anew."""
    book = Book()
    both = (episode(), episode("EvenwattIdleBurn", fired=1_000.0))
    tell(book, both[0], now=40)
    tell(book, *both, now=1_030)

    assert not tell(book, *both, now=3_639)
    assert len(tell(book, *both, now=3_640).still_firing) == 2
    assert not tell(book, *both, now=4_700)
    assert not news(book, *both, now=99_999, manners=Manners(remind_seconds=None))


def test_quiet_hours_wait_but_for_what_is_critical():
    """What came and went at night is told in the morning as one message."""
    book = Book()
    book.note_ended([ended()], MANNERS)

    assert not news(book, episode("EvenwattIdleBurn"), now=500, is_quiet=True)
    assert news(book, episode("EvenwattGpuLost"), now=500, is_quiet=True)
    morning = news(book, episode("EvenwattIdleBurn"), now=30_000)
    assert (len(morning.firing), len(morning.ended)) == (1, 1)


def test_what_matters_less_is_not_told():
    """A notifier for warnings hears nothing of what is only worth knowing."""
    book = Book()
    info = "EvenwattPriceAssumed"
    book.note_ended([ended(info)], MANNERS)

    assert not news(book, episode(info), now=500)
    assert book.waiting({episode(info).key: episode(info)}, MANNERS) == 0
