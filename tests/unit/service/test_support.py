"""What is sent with a question holds no secret, wherever one stood."""

import stat
import tarfile

import pytest

from config_fixtures import settings_of
from evenwatt.errors import OptionError
from evenwatt.service.support import redacted, write_bundle
from evenwatt.snapshot.checks import Finding, Health

SECRET = "s3cret-of-the-engine"
HASH = "$2b$10$abcdefghijklmnopqrstuum07vmGq4SyG7w9SfXuOAyD5WMiIMdTu"
CONFIG = f"""\
engines: [{{name: chat, url: "http://127.0.0.1:9", api_key: {SECRET}}}]
server: {{listen: "127.0.0.1:9", basic_auth_users: {{p: "{HASH}"}}}}
# token: an-older-one
"""


def test_the_bundle_holds_what_helps_and_no_secret(tmp_path):
    """Configuration, findings, why there is no status; a secret is taken out of errors too."""
    config, bundle = tmp_path / "config.yaml", tmp_path / "support.tar.gz"
    config.write_text(CONFIG)
    finding = Finding(link="engine", health=Health.BROKEN, text=f"refused key {SECRET}")
    write_bundle(bundle, settings_of(CONFIG), config, [finding])
    with tarfile.open(bundle) as archive:
        texts = {
            member.name.partition("/")[2]: archive.extractfile(member).read().decode()
            for member in archive.getmembers()
        }

    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert {"versions.txt", "doctor.json", "config.yaml", "status.txt"} <= texts.keys()
    assert "refused key <secret>" in texts["doctor.json"]
    for text in texts.values():
        assert not [hidden for hidden in (SECRET, HASH, "an-older-one") if hidden in text]


def test_a_secret_is_known_again_within_json(tmp_path):
    """Where findings quote it, its quotation mark stands behind a backslash."""
    bundle = tmp_path / "support.tar.gz"
    settings = settings_of("""engines: [{name: chat, url: "http://127.0.0.1:9", api_key: 'a"b'}]""")
    write_bundle(bundle, settings, None, [Finding(link="engine", health=Health.BROKEN, text='refused a"b')])
    with tarfile.open(bundle) as archive:
        told = archive.extractfile("evenwatt-support/doctor.json").read().decode()

    assert "refused <secret>" in told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("api_key: abc", "api_key: <secret>"),
        ("{token: 'a b', x: 1}", "{token: <secret>, x: 1}"),
        ('"password": "p#q"', '"password": <secret>'),
        (r'"password": "p\"q"', '"password": <secret>'),
        ("password: 'p''q'", "password: <secret>"),
        ("# password: p#q,r # old", "# password: <secret> # old"),
        ("[{token: p}, {token: q}]", "[{token: <secret>}, {token: <secret>}]"),
        ("# webhook: https://hooks/a/b", "# webhook: <secret>"),
        ("- {name: a, apprise: tgram://1:b/2}", "- {name: a, apprise: <secret>}"),
        ("alertmanager: http://10.0.0.1:9093", "alertmanager: <secret>"),
        ("api_key: credential:chat-key", "api_key: credential:chat-key"),
        ("password: ${PLUG}", "password: ${PLUG}"),
        ("http://me:pw@plug/a", "http://<secret>@plug/a"),
        ("tokens: 5", "tokens: 5"),
        ("webhook: is down", "webhook: is down"),
    ],
)
def test_what_stands_at_a_key_of_a_secret_is_taken_out(text, shown):
    """Names of credentials and of variables stay: they say where a secret comes from, not what it is."""
    assert redacted(text, ()) == shown


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    """Nor is anything else done to it."""
    path = tmp_path / "mine.tar.gz"
    path.write_text("mine")

    with pytest.raises(OptionError, match="name a new file"):
        write_bundle(path, settings_of(""), None, [])
    assert path.read_text() == "mine"
