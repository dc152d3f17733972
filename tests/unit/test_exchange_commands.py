"""`evenwatt export`, `import` and `backup` from outside: files, pipes, and faults in a sentence."""

import json
import os
import resource
import subprocess
import sys

import pytest

from exported_history import CONFIG, contents, write_days


@pytest.fixture
def config(tmp_path):
    """A configuration with a history of two days."""
    path = tmp_path / "history.db"
    write_days(path, 0, 1)
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(history=path))
    return file


def evenwatt(*arguments):
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "evenwatt", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("form", ["csv", "jsonl", "openmetrics", "focus", "litellm"])
def test_an_export_goes_to_a_pipe_or_a_file(config, tmp_path, form):
    """The same bytes; what was written is told, and nothing else."""
    output = tmp_path / "out"
    piped, written = (evenwatt("export", "-c", config, "-f", form, *more) for more in ((), ("-o", output)))

    assert (piped.returncode, written.returncode) == (0, 0), piped.stderr + written.stderr
    assert written.stdout == f"written: {output}\n"
    assert (piped.stderr, written.stderr) == ("", "")
    assert piped.stdout == output.read_text()


def test_an_export_to_a_reader_that_has_seen_enough(config):
    """As `head` does: no traceback, no word."""
    command = f"{sys.executable} -m evenwatt export -c {config} -f jsonl | head -c 10"
    told = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)

    assert told.stdout == '{"evenwatt'
    assert told.stderr == ""


def test_a_pipe_by_name_is_written_to_as_it_is(config, tmp_path):
    """A device or a named pipe is nothing whose place a file could take."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        written = evenwatt("export", "-c", config, "-f", "csv", "-o", pipe)
        read, _ = reader.communicate(timeout=60)

    assert written.returncode == 0, written.stderr
    assert read == evenwatt("export", "-c", config, "-f", "csv").stdout
    assert pipe.is_fifo()


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_no_history_is_replaced_by_an_export(config, tmp_path, form):
    """What somebody mistook for the name of the new file stays what it is."""
    history, link = tmp_path / "history.db", tmp_path / "link"
    link.symlink_to(history)
    before = history.read_bytes()
    for output in (history, link):
        told = evenwatt("export", "-c", config, "-f", form, "-o", output)

        assert told.returncode == 1
        assert told.stderr == f"evenwatt: {output}: is a database, such as a history is; name another file\n"
    assert history.read_bytes() == before


def test_a_history_goes_out_and_comes_back(config, tmp_path):
    """Into a history that is begun with it, and a second time nothing is counted twice."""
    lines, new = tmp_path / "all.jsonl", tmp_path / "new.db"
    assert evenwatt("export", "-c", config, "-f", "jsonl", "-o", lines).returncode == 0
    first, second = (evenwatt("import", lines, "--history", new) for _ in range(2))

    assert first.stdout == f"{new}: 18 min of the machine's time imported, into a new history\n"
    assert second.stdout == (
        f"{new}: 0 s of the machine's time imported\n18 min were there already and stay as they are\n"
    )
    assert contents(new)["total_usage"] == contents(tmp_path / "history.db")["total_usage"]


def test_a_backup_is_told_with_its_size(config, tmp_path):
    """In the folder or under the name that was given."""
    target = tmp_path / "backup.db"
    told = evenwatt("backup", "-c", config, target)

    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"written: {target} (0.")
    assert told.stderr == ""


def no_room():
    """Let no file of this process grow as large as what is written, as if the disk were full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))


@pytest.mark.parametrize("command", [("export", "-f", "jsonl", "-o"), ("backup",)])
def test_a_full_disk_leaves_nothing(config, tmp_path, command):
    """What does not fit is told in a sentence, and no part of it stays."""
    write_days(tmp_path / "history.db", *range(2, 8))
    folder = tmp_path / "full"
    folder.mkdir()
    told = subprocess.run(
        [sys.executable, "-m", "evenwatt", *command, folder / "file", "-c", config],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=no_room,
    )

    assert told.returncode == 1
    assert len(told.stderr.splitlines()) == 1, told.stderr
    assert "room" in told.stderr
    assert list(folder.iterdir()) == []


def no_room_at_all():
    """Let this process write nothing to any file."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_a_full_disk_is_told_of_the_history_and_not_of_the_export(config, tmp_path):
    """What cannot be written is not what is read."""
    lines, new = tmp_path / "all.jsonl", tmp_path / "new.db"
    assert evenwatt("export", "-c", config, "-f", "jsonl", "-o", lines).returncode == 0
    told = subprocess.run(
        [sys.executable, "-m", "evenwatt", "import", lines, "-c", config, "--history", new],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=no_room_at_all,
    )

    assert told.returncode == 1
    assert told.stderr.startswith(f"evenwatt: {new}: cannot be opened: "), told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_commands_need_no_pyarrow(config, tmp_path):
    """Parquet without its library is told with what to install, and nothing else needs it."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "pyarrow.py").write_text("raise ImportError('not here')")
    code = f"import sys; sys.path.insert(0, {str(blocked)!r}); from evenwatt.cli import main; main()"
    told = [
        subprocess.run(
            [
                sys.executable,
                "-c",
                code,
                "export",
                "-c",
                config,
                "-f",
                form,
                "-o",
                tmp_path / f"usage.{form}",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for form in ("parquet", "csv")
    ]

    assert told[0].returncode == 1
    assert told[0].stderr == (
        "evenwatt: Parquet needs the package pyarrow, which is not installed: "
        "pip install 'evenwatt[parquet]', or export with --format csv or jsonl\n"
    )
    assert told[1].returncode == 0


@pytest.mark.parametrize(
    ("code", "arguments", "said"),
    [
        (2, ("export", "-f", "parquet"), "--output: missing; Parquet is written to a file, such as"),
        (
            2,
            ("export", "-f", "csv", "--label", "a=b"),
            "--label: goes with --format openmetrics; found --format",
        ),
        (
            2,
            ("export", "-f", "csv", "--account", "a"),
            "--account: goes with --format focus; found --format csv",
        ),
        (
            2,
            ("export", "-f", "csv", "--from", "soon"),
            "--from: got 'soon', expected a day such as 2026-10-01",
        ),
        (
            2,
            ("export", "-f", "csv", "--from", "2026-13-01"),
            "--from: got '2026-13-01', expected a day such as",
        ),
        (
            2,
            ("export", "-f", "csv", "--from", "2026-01-17", "--to", "2026-01-16"),
            "--to: got 2026-01-16, expected what is after --from (2026-01-17)",
        ),
        (1, ("export", "-f", "csv", "-o", "/"), "/: is no regular file, which alone can be replaced; name a"),
        (1, ("export", "-f", "csv", "--history", "/nowhere/h.db"), "/nowhere/h.db: there is no history yet;"),
        (1, ("import", "/nowhere/file"), "/nowhere/file: cannot be read (No such file or directory)"),
        (1, ("backup", "/nowhere/file"), "/nowhere/file: cannot be written (No such file or directory)"),
    ],
)
def test_faults_are_one_sentence(config, code, arguments, said):
    """A fault that a user can mend has no traceback; one in what was typed has exit code 2."""
    told = evenwatt(*arguments[:1], "-c", config, *arguments[1:])

    assert told.returncode == code
    assert told.stderr.startswith(f"evenwatt: {said}")
    assert "Traceback" not in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_a_month_can_be_read_as_lines(config):
    """Each line is JSON, the last one ends the file."""
    told = evenwatt("export", "-c", config, "-f", "jsonl", "--from", "2026-01-01", "--to", "2026-01-31")

    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert lines[-1]["rows"] == len(lines) - 4
