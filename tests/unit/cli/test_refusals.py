"""What `kube-actors` refuses before anything starts: wrong arguments end with 2, what cannot be meant with 1 and one
line that names the field and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_actors.cli.main import main


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr, of a run that printed nothing else."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("kube-actors: ") and err.count("\n") == 1, err
    return err.removeprefix("kube-actors: ").rstrip()


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["up", "--nodes", "many"], "argument --nodes: invalid int value: 'many'"),
        (["up", "--runtime", "lxc"], "argument --runtime: invalid choice: 'lxc'"),
        (["up", "--nodes"], "argument --nodes: expected one argument"),
        (["up", "--colour", "red"], "unrecognized arguments: --colour red"),
        (["run", "everything"], "invalid choice: 'everything'"),
        (["node", "--name", "a"], "the following arguments are required: --server, --token-file"),
        (["bench", "nothing"], "invalid choice: 'nothing'"),
        (["bench", "startup", "--rounds", "0"], "argument --rounds: 0 is not 1 or more"),
    ],
)
def test_wrong_arguments_end_with_2(words: list[str], cause: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage: kube-actors" in err and cause in err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--nodes", "-1"], "nodes: -1 is negative; 0 starts no node"),
        (["--listen", "here"], "listen: 'here' is not HOST:PORT (127.0.0.1:6443, [::1]:6443, 127.0.0.1:0 for any)"),
        (["--store", "postgres"], "store: 'postgres' is none of memory, sqlite:PATH, etcd:URL"),
        (["--without", "store"], "without: there is no 'store'; known are scheduler, controllers, proxy, cloud"),
        (["--config", "DIR/colour.yaml"], "DIR/colour.yaml: Object contains unknown field `colour`"),
        (["--config", "DIR/list.yaml"], "DIR/list.yaml: a mapping of fields is expected, not list"),
        (["--config", "DIR/nobody.yaml"], "controllers.enabled: 'nobody' is not in the list of known controllers"),
        (["--config", "DIR/tea.yaml"], "controllers.periods: there is no 'tea'; known are"),
        (["--config", "DIR/absent.yaml"], "DIR/absent.yaml: cannot be read: No such file or directory"),
        (["--config", "DIR"], "DIR: cannot be read: Is a directory"),
        (["--config", "DIR/latin.yaml"], "DIR/latin.yaml: cannot be read: not UTF-8 text"),
        (["--config", "DIR/empty.yaml", "--nodes", "-3"], "nodes: -3 is negative; 0 starts no node"),
        (["--config", "DIR/gates.yaml"], "DIR/gates.yaml: featureGates: 'NodeSwap' switches nothing here; no gate does "
         "yet, every feature is as Kubernetes v1.36.0 has it by default, so leave it out"),
        (["--data-dir", "DIR/empty.yaml"], "data directory DIR/empty.yaml: cannot be made: File exists"),
        (["--data-dir", "DIR/empty.yaml/d"], "data directory DIR/empty.yaml/d: cannot be made: Not a directory"),
        (["--kubeconfig", "DIR"], "kubeconfig: DIR cannot be written: Is a directory"),
        (["--kubeconfig", "DIR/empty.yaml/k"], "kubeconfig: DIR/empty.yaml/k cannot be written: File exists"),
    ],
)  # fmt: skip
def test_up_ends_with_1_and_one_line(
    words: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "colour.yaml").write_text("colour: red")
    (tmp_path / "list.yaml").write_text("[1]")
    (tmp_path / "nobody.yaml").write_text("controllers: {enabled: [nobody]}")
    (tmp_path / "tea.yaml").write_text("controllers: {periods: {tea: 5s}}")
    (tmp_path / "gates.yaml").write_text("featureGates: {NodeSwap: false}")
    (tmp_path / "latin.yaml").write_bytes(b"runtime: \xe9")
    simulated = ["up", "--runtime", "simulated", "--store", "memory"]
    for flag, value in (("--data-dir", str(tmp_path / "d")), ("--listen", "127.0.0.1:0")):
        simulated += [flag, value] if flag not in words else []
    code = main([*simulated, *(word.replace("DIR", str(tmp_path)) if "DIR" in word else word for word in words)])
    assert code == 1
    assert told(capsys).startswith(line.replace("DIR", str(tmp_path)))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["node", "--server", "here", "--token-file", "DIR/token"], "server: 'here' is not https://HOST:PORT"),
        (["node", "--server", "https://127.0.0.1:1", "--token-file", "DIR/absent"],
         "token file DIR/absent: cannot be read: No such file or directory"),
        (["node", "--server", "https://127.0.0.1:1", "--token-file", "DIR/latin"],
         "token file DIR/latin: the first line must be the token; copy the file that `up` left"),
        (["node", "--server", "https://127.0.0.1:1", "--token-file", "DIR/token", "--name", "A b"],
         "name: 'A b' is not a lower-case DNS name (letters, digits, - and .)"),
        (["run", "cloud", "--kubeconfig", "DIR/absent"], "DIR/absent: no such file"),
        (["run", "cloud", "--kubeconfig", "DIR/token"], "DIR/token:"),
        (["run", "controllers", "--config", "DIR/absent.yaml"], "DIR/absent.yaml: cannot be read: No such file"),
    ],
)  # fmt: skip
def test_node_and_run_need_what_they_are_pointed_to(
    words: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("a: [")
    (tmp_path / "latin").write_bytes(b"\xe9\n")
    assert main([word.replace("DIR", str(tmp_path)) for word in words]) == 1
    assert told(capsys).startswith(line.replace("DIR", str(tmp_path)))
