"""The verbs of the command line, each in a process of its own."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from commands import run

BIN = Path(sys.executable).parent
ORDERS = Path(__file__).parents[2] / "examples" / "orders.singer"
BROKEN = ORDERS.with_name("orders-broken.singer")
STATE = {"bookmarks": {"orders": {"ordered_at": "2026-01-02T04:00:00Z"}}}


@pytest.fixture
def tailrace(tmp_path):
    """Runs a command in a fresh folder; the result has its exit code, stdout and stderr."""

    def run_there(*words, stdin="", **others):
        return run(*words, cwd=tmp_path, stdin=stdin if isinstance(stdin, bytes) else stdin.encode(), **others)

    return run_there


def rows(folder, query="SELECT id, customer, total FROM orders ORDER BY id", name="shop.duckdb"):
    with duckdb.connect(str(folder / name), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_a_load_as_a_shell_starts_it_does_not_import_pandas(tmp_path):
    command = [BIN / "tailrace", "load", ORDERS, "--to", "duckdb:///shop.duckdb"]
    environ = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=False)
    assert done.returncode == 0
    assert "pyarrow" in done.stderr.decode()
    assert "pandas.core" not in done.stderr.decode()
    assert json.loads(done.stdout) == STATE


def test_load_reads_stdin_and_tells_the_state_alone_on_stdout(tailrace, tmp_path):
    done = tailrace("load", "--to", "duckdb:///shop.duckdb", stdin=ORDERS.read_bytes())
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [STATE]
    assert [(i, c, str(t)) for i, c, t in rows(tmp_path)] == [(1, "Ada", "499.99"), (2, "Zoë", "12.00")]


def test_load_reads_a_file_and_writes_a_report_that_adds_up(tailrace, tmp_path):
    done = tailrace("load", ORDERS, "--to", "duckdb:///shop.duckdb", "--report", "report.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    orders = report["streams"]["orders"]
    assert (orders["read"], orders["loaded"], orders["deduplicated"], orders["uncommitted"]) == (3, 2, 1, 0)
    assert report["state"] == STATE
    heading, *_ = [line for line in done.stderr.decode().splitlines() if line.startswith("stream")]
    assert heading.split() == ["stream", "read", "loaded", "deduplicated"]


def test_settings_come_from_a_file_the_environment_and_flags_in_that_order_of_strength(tailrace, tmp_path):
    (tmp_path / "c.yaml").write_text("to: duckdb\npath: ${PLACE}\ntable: from_file\nnaming: preserve\n")
    words = ("load", ORDERS, "--config", "c.yaml")
    assert tailrace(*words, PLACE="a.duckdb").returncode == 0
    assert tailrace(*words, PLACE="a.duckdb", TAILRACE_TABLE="from_environment").returncode == 0
    flagged = tailrace(*words, "--set", "table=from_flag", PLACE="a.duckdb", TAILRACE_TABLE="from_environment")
    assert flagged.returncode == 0
    tables = rows(
        tmp_path, "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'from%' ORDER BY 1", "a.duckdb"
    )
    assert tables == [("from_environment",), ("from_file",), ("from_flag",)]


def test_log_lines_can_be_json(tailrace):
    done = tailrace("load", ORDERS, "--to", "duckdb:///shop.duckdb", "--log-format", "json")
    checkpoint = json.loads(done.stderr.decode().splitlines()[0])
    assert (checkpoint["event"], checkpoint["number"], checkpoint["records"]) == ("checkpoint", 1, 3)


@pytest.mark.parametrize(
    ("words", "stdin", "code", "said"),
    [
        (("load",), "", 2, "error: --to: no destination given (as in --to duckdb:///my.duckdb)"),
        (("load", "--to", "dukdb"), "", 2, "did you mean duckdb?"),
        (("load", "--to", "duckdb:///x.duckdb", "--set", "batch_row=1"), "", 2, "did you mean batch_rows?"),
        (("load", "--to", "duckdb:///x.duckdb", "nowhere.singer"), "", 2, "nowhere.singer"),
        (("load", "--to", "duckdb:///x.duckdb"), "hello\n", 3, "line 1"),
        (("load", "--to", "duckdb:///x.duckdb"), '{"type":"RECORD","stream":"s","record":{}}\n', 3, "SCHEMA"),
        (("load", "--to", "duckdb:///x.duckdb"), BROKEN.read_text(), 4, "stream 'orders', line 3: $.paid"),
        (("load", "--to", "duckdb:////not/there/x.duckdb"), ORDERS.read_text(), 6, "can't be opened"),
        (("run", "--tap", "cat x", "--to", "duckdb:///x.duckdb"), "", 2, "--pipeline"),
        (("run", "--tap", "no-such-tap", "--to", "duckdb:///x.duckdb", "--pipeline", "p"), "", 2, "no-such-tap"),
        (("replay", "nothing.jsonl", "--to", "duckdb:///x.duckdb"), "", 2, "there is no file nothing.jsonl"),
        (("load", "--nonsense"), "", 2, "--nonsense"),
        (
            ("load", "--to", "postgresql://u:pa[ss@h/d"),
            "",
            2,
            "error: to: the address can't be read (in a password write",
        ),
        (
            ("load", "--to", "duckdb:///x.duckdb", "--set", "ssh_host=bastion"),
            "",
            2,
            "it means `ssh`, which can't be set here",
        ),
    ],
)
def test_an_error_is_one_sentence_that_says_what_to_do_and_an_exit_code(tailrace, words, stdin, code, said):
    done = tailrace(*words, stdin=stdin)
    assert (done.returncode, said in done.stderr.decode()) == (code, True), done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""


def test_what_comes_before_an_error_and_has_a_state_is_committed_and_told(tailrace, tmp_path):
    done = tailrace("load", "--to", "duckdb:///shop.duckdb", stdin=ORDERS.read_text() + "no message\n")
    assert done.returncode == 3
    assert json.loads(done.stdout) == STATE
    assert len(rows(tmp_path)) == 2


def test_run_starts_the_tap_with_the_remembered_state(tailrace, tmp_path):
    tap = tmp_path / "tap.py"
    tap.write_text(
        "import json, sys\n"
        "state = json.load(open(sys.argv[2]))['n'] if '--state' in sys.argv else 0\n"
        "print(json.dumps({'type': 'SCHEMA', 'stream': 's', 'schema': {'properties': {'n': {'type': 'integer'}}}}))\n"
        "for n in range(state, state + 3):\n"
        "    print(json.dumps({'type': 'RECORD', 'stream': 's', 'record': {'n': n}}))\n"
        "print(json.dumps({'type': 'STATE', 'value': {'n': state + 3}}))\n"
        "print('a word on stderr', file=sys.stderr)\n"
    )
    words = ("run", "--tap", f"{sys.executable} {tap}", "--to", "duckdb:///shop.duckdb", "--pipeline", "p")
    first, second = tailrace(*words), tailrace(*words)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert [json.loads(done.stdout) for done in (first, second)] == [{"n": 3}, {"n": 6}]
    assert b"a word on stderr" in first.stderr
    assert rows(tmp_path, "SELECT n FROM s ORDER BY n") == [(n,) for n in range(6)]


def test_check_says_what_is_there_and_what_may_be_made(tailrace, tmp_path):
    before = tailrace("check", "--to", "duckdb:///shop.duckdb")
    assert b"isn't there yet and will be made" in before.stdout
    assert list(tmp_path.iterdir()) == []
    tailrace("load", ORDERS, "--to", "duckdb:///shop.duckdb")
    assert b"can be written to" in tailrace("check", "--to", "duckdb:///shop.duckdb").stdout


def test_plan_prints_the_statements_and_runs_none(tailrace, tmp_path):
    done = tailrace("plan", ORDERS, "--to", "duckdb:///shop.duckdb")
    assert done.returncode == 0, done.stderr
    assert "-- orders -> orders (upsert)" in done.stdout.decode()
    assert 'CREATE TABLE "main"."orders"' in done.stdout.decode()
    assert list(tmp_path.iterdir()) == []
    tailrace("load", ORDERS, "--to", "duckdb:///shop.duckdb")
    assert "-- nothing to do" in tailrace("plan", ORDERS, "--to", "duckdb:///shop.duckdb").stdout.decode()


def test_a_refused_record_is_set_aside_and_loaded_again(tailrace, tmp_path):
    to = ("--to", "duckdb:///shop.duckdb")
    aside = ("--set", "on_invalid=quarantine", "--set", "quarantine=broken.jsonl")
    first = tailrace("load", BROKEN, *to, *aside)
    assert first.returncode == 0, first.stderr
    assert [ident for ident, *_ in rows(tmp_path)] == [3]
    again = tailrace("replay", "broken.jsonl", *to, "--set", "validation=off")
    assert again.returncode == 0, again.stderr
    assert [ident for ident, *_ in rows(tmp_path)] == [3, 4]


def test_records_that_are_refused_again_go_to_a_file_of_their_own(tailrace, tmp_path):
    to = ("--to", "duckdb:///shop.duckdb", "--set", "on_invalid=quarantine")
    tailrace("load", BROKEN, *to, "--set", "quarantine=broken.jsonl")
    again = tailrace("replay", "broken.jsonl", *to)
    assert again.returncode == 0, again.stderr
    kept = [json.loads(line) for line in (tmp_path / "broken.again.jsonl").read_text().splitlines()]
    assert [entry["reasons"][0]["path"] for entry in kept if "record" in entry] == ["$.paid"]


def test_destinations_lists_every_destination_with_its_guarantee(tailrace):
    listed = tailrace("destinations").stdout.decode()
    assert [name for name in ("duckdb", "memory", "sqlite") if name in listed] == ["duckdb", "memory", "sqlite"]
    assert "exactly once" in listed


def test_about_gives_the_settings_as_json_schema(tailrace):
    facts = json.loads(tailrace("about", "--format", "json", "--to", "duckdb").stdout)
    assert facts["settings"]["properties"]["batch_rows"]["default"] == 50_000
    assert list(facts["destinations"]) == ["duckdb"]
    assert "path" in facts["destinations"]["duckdb"]["settings"]["properties"]
    assert "| `batch_rows` |" in tailrace("about").stdout.decode()


@pytest.mark.parametrize("name", ["duckdb", "sqlite", "memory"])
def test_init_prints_a_config_that_loads_once_what_must_be_set_is_set(tailrace, tmp_path, name):
    template = tailrace("init", name).stdout.decode()
    (tmp_path / "tailrace.yaml").write_text(template.replace("\npath: ", "\npath: shop.db"))
    done = tailrace("load", ORDERS, "--config", "tailrace.yaml")
    assert done.returncode == 0, done.stderr


def test_every_setting_in_a_template_is_one_that_may_be_uncommented(tailrace, tmp_path):
    template = tailrace("init", "duckdb").stdout.decode().replace("\npath: ", "\npath: shop.duckdb")
    lines = [re.sub(r"^#(?! )", "", line) for line in template.splitlines()]
    assert "batch_rows: 50000" in lines
    (tmp_path / "tailrace.yaml").write_text("\n".join(lines))
    done = tailrace("load", ORDERS, "--config", "tailrace.yaml")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["duckdb", "sqlite", "memory", "postgres", "mysql"])
def test_a_template_names_each_setting_once(tailrace, name):
    keys = re.findall(r"^#?(\w+): ?", tailrace("init", name).stdout.decode(), re.MULTILINE)
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("program", ["tailrace", "target-tailrace"])
def test_version_is_printed_by_each_program_that_is_installed(program):
    done = subprocess.run([BIN / program, "--version"], capture_output=True, check=True)
    assert done.stdout.decode().startswith(f"{program} 0.")


def test_target_tailrace_loads_as_a_singer_target(tailrace, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"to": "duckdb:///shop.duckdb", "method": "append"}))
    done = tailrace("--config", "config.json", stdin=ORDERS.read_bytes(), program="target-tailrace")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == STATE
    assert len(rows(tmp_path)) == 3


def test_target_tailrace_takes_its_config_from_the_environment(tailrace, tmp_path):
    words = ("--config", "ENV", "--input", ORDERS)
    assert tailrace(*words, program="target-tailrace", TAILRACE_TO="duckdb:///shop.duckdb").returncode == 0
    assert len(rows(tmp_path)) == 2


def test_target_tailrace_takes_variables_of_its_own_name_where_the_config_is_env_and_they_are_the_stronger(
    tailrace, tmp_path
):
    (tmp_path / "a.json").write_text(json.dumps({"to": "duckdb:///other.duckdb", "table": "x_{stream}"}))
    (tmp_path / "b.json").write_text(json.dumps({"table": "y_{stream}"}))
    words = ("-c", "a.json", "--config=b.json", "--config=ENV", "--input", ORDERS)
    environment = {"TAILRACE_TO": "duckdb:///third.duckdb", "TARGET_TAILRACE_TO": "duckdb:///shop.duckdb"}
    environment["TARGET_TAILRACE_STREAMS__ORDERS__METHOD"] = "append"
    assert tailrace(*words, program="target-tailrace", **environment).returncode == 0
    assert len(rows(tmp_path, "SELECT id FROM y_orders")) == 3
    # Without ENV they are those of a runner, which has put them into its config file.
    words = ("-c", "a.json", "--config=b.json", "--input", ORDERS)
    assert tailrace(*words, program="target-tailrace", **environment).returncode == 0
    assert (tmp_path / "third.duckdb").exists()


def test_target_tailrace_logs_as_the_runner_asks_unless_its_settings_say_otherwise(tailrace, tmp_path):
    form = {"()": "singer_sdk.logging.StructuredFormatter"}
    asked = {"version": 1, "formatters": {"singer_formatter": form}, "root": {"level": "INFO"}}
    (tmp_path / "logging.json").write_text(json.dumps(asked))
    (tmp_path / "config.json").write_text(json.dumps({"to": "memory"}))
    words = ("-c", "config.json", "--input", ORDERS)
    environment = {"program": "target-tailrace", "SINGER_SDK_LOG_CONFIG": "logging.json"}
    lines = [line for line in tailrace(*words, **environment).stderr.decode().splitlines() if line[:1] == "{"]
    said = [json.loads(line) for line in lines]
    fields = {"level", "pid", "logger_name", "ts", "thread_name", "app_name", "message", "stream_name", "extra"}
    assert said
    assert all(set(line) == fields for line in said)
    environment["TAILRACE_LOG_LEVEL"] = "error"
    assert b"logger_name" not in tailrace(*words, **environment).stderr
    done = tailrace("-c", "config.json", **environment, TAILRACE_ON_INVALID="no")
    (line,) = done.stderr.decode().splitlines()
    assert (json.loads(line)["level"], "on_invalid" in json.loads(line)["message"]) == ("error", True)
    done = tailrace("-c", "config.json", **environment, TAILRACE_LOG_FORMAT="text", TAILRACE_ON_INVALID="no")
    assert done.stderr.startswith(b"error: ")


def test_target_tailrace_describes_itself(tailrace):
    facts = json.loads(tailrace("--about", "--format=json", program="target-tailrace").stdout)
    asked = ["name", "description", "version", "sdk_version", "supported_python_versions", "capabilities", "settings"]
    assert (list(facts), facts["name"]) == (asked, "target-tailrace")
    assert "3.11" in facts["supported_python_versions"]


def test_a_config_of_mages_loads_unchanged_and_the_log_says_what_is_not_needed(tailrace, tmp_path):
    config = {
        "database": "shop.duckdb",
        "schema": "raw",
        "table": "sales",
        "lower_case": True,
        "allow_reserved_words": False,
        "unique_conflict_method": "IGNORE",
        "unique_constraints": ["id"],
        "connection_method": "direct",
        "ssh_port": 22,
        "_streams": {"columns": {"origin": "shop"}},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = tailrace("load", ORDERS, "--to", "duckdb", "--config", "config.json")
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path, "SELECT id, origin FROM raw.sales ORDER BY id") == [(1, "shop"), (2, "shop")]
    assert "`allow_reserved_words` isn't needed: names are always quoted" in done.stderr.decode()


def test_a_config_of_meltanos_loads_unchanged_and_names_the_destination(tailrace, tmp_path):
    config = {
        "sqlalchemy_url": "sqlite+pysqlite:///shop.db",
        "host": "nowhere",
        "port": 5432,
        "dialect+driver": "postgresql+psycopg",
        "load_method": "append-only",
        "add_record_metadata": True,
        "batch_size_rows": 2,
        "stream_maps": {},
        "ssl_enable": False,
        "ssl_mode": "verify-full",
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = tailrace("--config", "config.json", stdin=ORDERS.read_bytes(), program="target-tailrace")
    assert done.returncode == 0, done.stderr
    assert b"`load_method` differs here: " in done.stderr
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        found = connection.execute("SELECT id, _sdc_sequence IS NULL FROM orders ORDER BY id").fetchall()
    assert found == [(1, 0), (2, 0)]
