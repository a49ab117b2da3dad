"""Configuration files: what they hold, and what is said of a key that does not exist or a value that is wrong."""

import pytest

from argot.agent.setup import init_agent, init_user
from argot.config import AgentConfig, FederationConfig, check_name, load
from argot.errors import ConfigError, UnknownNameError

AGENT = """
name = "alice"
functions = ["a.b:*"]
[peers.bob]
fingerprint = "sha256:00"
[users.ana]
fingerprint = "sha256:01"
party = "alice"
[tables.people]
path = "people.csv"
column_devices = {age = ["aby3(*)"]}
[policy]
devices = ["aby3(*)"]
[[policy.reveal]]
to = ["alice"]
of = ["alice:*"]
max_elements = 10
[limits]
lost_after = 4.0
"""


def write(path, text):
    path.write_text(text)
    return path


def test_a_whole_file(tmp_path):
    config = load(write(tmp_path / "a.toml", AGENT), AgentConfig)
    assert config.peers["bob"].address is None and config.limits.lost_after == 4.0
    (rule,) = config.policy.reveal
    assert rule.allows("alice", "alice:people.age", 10)
    assert not rule.allows("alice", "alice:people.age", 11)
    assert not rule.allows("alice", "bob:visits.cost", 1)
    assert not rule.allows("bob", "alice:people.age", 1)


@pytest.mark.parametrize(
    ("change", "key", "valid"),
    [
        (("functions =", "funktions ="), "funktions", "functions"),
        (('fingerprint = "sha256:00"', 'fingerprint = "sha256:00"\nport = 1'), "port", "address"),
        (("[policy]", "[policy]\nreveals = []"), "reveals", "psi_max_rows"),
        (("max_elements", "maximum"), "maximum", "max_elements"),
        (("lost_after", "lost"), "lost", "keep_alive"),
        (("column_devices", "columns_devices"), "columns_devices", "column_devices"),
    ],
)
def test_an_unknown_key_lists_those_there_are(tmp_path, change, key, valid):
    path = write(tmp_path / "a.toml", AGENT.replace(*change))
    with pytest.raises(UnknownNameError) as caught:
        load(path, AgentConfig)
    assert repr(key) in str(caught.value) and valid in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('name = "alice"', "name = 3"), "name"),
        (('name = "alice"', ""), "name"),
        (('functions = ["a.b:*"]', 'functions = "a.b:*"'), "functions"),
        (("lost_after = 4.0", 'lost_after = "soon"'), "lost_after"),
        (('path = "people.csv"', ""), "path"),
        (("[policy]", "[policy"), "TOML"),
    ],
)
def test_a_wrong_value_names_its_key(tmp_path, change, said):
    with pytest.raises(ConfigError, match=said):
        load(write(tmp_path / "a.toml", AGENT.replace(*change)), AgentConfig)


def test_files_that_are_not_there_or_not_text(tmp_path):
    with pytest.raises(ConfigError, match="no file"):
        load(tmp_path / "none.toml", AgentConfig)
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="TOML"):
        load(tmp_path / "b.toml", AgentConfig)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 33, "a\n"])
def test_names(name):
    with pytest.raises(ConfigError, match="name"):
        check_name(name)
    assert check_name("Bank_of-7") == "Bank_of-7"


def test_what_init_writes_can_be_read_and_allows_nothing(tmp_path):
    identity, path = init_agent("alice", tmp_path / "alice", "127.0.0.1:0")
    config = load(path, AgentConfig)
    assert config.name == "alice" and config.policy.reveal == () and config.policy.devices == ()
    assert (tmp_path / "alice" / "key.pem").stat().st_mode & 0o077 == 0
    with pytest.raises(ConfigError, match="exists"):
        init_agent("alice", tmp_path / "alice", "127.0.0.1:0")
    other, path = init_user("ana", "alice", tmp_path / "ana")
    assert other.fingerprint != identity.fingerprint
    with pytest.raises(ConfigError, match="agents"):
        load(path, FederationConfig)
