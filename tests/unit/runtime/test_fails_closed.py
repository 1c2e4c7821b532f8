"""No path turns a check that failed, or that could not be made, into success.

What is read here is the code itself: the shapes in which programs fail open are looked for in every module that verifies or installs, and
each place that looks like one stands in a list below, with the reason why it is none. A new one fails this test until somebody has
thought about it.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import FOREIGN, OURS, draft, write_trust
from wheelhouse_builder import runtime
from wheelhouse_builder.runtime import bundle, commands, control, ecdsa, ed25519, manifest, mldsa, sshsig
from wheelhouse_builder.runtime.cli import main
from wheelhouse_builder.runtime.errors import EnvironmentFailure, KeyFailure, WheelhouseError

MODULES = sorted(Path(runtime.__file__ or "").parent.glob("*.py"))

SWALLOWED = {
    ("bundle.py", "_read_soundly"): "a damaged volume was replaced; what it holds is checked again, from the start",
    ("cli.py", "main"): "whatever it was becomes a failure, whose exit code is not 0",
    ("cli.py", "_run"): "the reader of our output went away; the work was done before",
    ("cli.py", "_print_failure"): "the same; the exit code still tells",
    ("memory.py", "_write"): "a draft that cannot be taken away; the error that led here is raised",
    ("memory.py", "read_memory"): "no state file: nothing is remembered yet",
    ("trust.py", "_decode_key"): "what is no base64 becomes no key, which is refused in the next line",
    ("memory.py", "_is_time"): "the answer is no: the caller refuses the file",
    ("notable.py", "notable_members"): "what is no archive is no wheel, which check 8 tells",
    ("volumes.py", "_drop_if_damaged"): "the answer is no: the volume is not used",
    ("volumes.py", "_take_unasked"): "a file beside the bundle that is no volume; what is missing then is told",
    ("zstd.py", "run"): "another thread raises it; and what a decoder leaves out, size and digest tell",
    ("memory.py", "_alone"): "on Windows the lock's file stays while somebody else waits for it",
}
"""Handlers in the modules that verify which neither raise nor say no, by module and function, each with the reason."""

VERIFYING = (
    "bundle", "cli", "commands", "control", "ecdsa", "ed25519", "manifest", "memory", "mldsa", "moments", "policy", "source", "sshsig",
    "trust", "trusted_file", "versions", "volumes",
    "agreement", "attested", "bases", "locks", "native", "notable", "payload", "rewrite", "skeleton", "unpack", "wheel", "ziparchive",
    "zstd",
)  # fmt: skip
"""The modules that decide on checks 1 to 6, and on 7 and 8."""


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef))


def swallowing(function: ast.FunctionDef) -> bool:
    """Whether a handler, or contextlib.suppress, may let the function go on as if nothing had happened."""
    handlers = [node for node in ast.walk(function) if isinstance(node, ast.ExceptHandler)]
    suppressed = [node for node in ast.walk(function) if isinstance(node, ast.Attribute) and node.attr == "suppress"]
    return bool(suppressed) or any(not refuses(handler) for handler in handlers)


def refuses(handler: ast.ExceptHandler) -> bool:
    """Whether a handler raises, says False or None or a non-zero exit code, or notes or returns what the error says, on its way."""
    nodes = list(ast.walk(handler))
    raises = any(isinstance(node, ast.Raise) for node in nodes)
    says_no = any(isinstance(node, ast.Return) and isinstance(node.value, ast.Constant) and not node.value.value for node in nodes)
    notes = any(isinstance(node, ast.Attribute) and node.attr == "append" for node in nodes) or any(
        isinstance(node, (ast.Return, ast.Assign)) and node.value is not None and tells(node.value, handler.name) for node in nodes
    )
    return raises or notes or (says_no and not any(isinstance(node, ast.Return) and _true(node) for node in nodes))


def tells(value: ast.expr, error: str | None) -> bool:
    """Whether a value is made of the error: ``str(error)``, ``error.problems``."""
    return error is not None and any(isinstance(node, ast.Name) and node.id == error for node in ast.walk(value))


def _true(node: ast.Return) -> bool:
    return isinstance(node.value, ast.Constant) and node.value.value is True


def test_every_handler_that_lets_go_on_is_known_and_has_a_reason() -> None:
    found = {(path.name, each.name) for path in MODULES if path.stem in VERIFYING for each in functions(path) if swallowing(each)}
    assert found <= set(SWALLOWED), f"new: {sorted(found - set(SWALLOWED))}"


def test_no_check_is_an_assertion_which_optimizing_leaves_out() -> None:
    asserted = [f"{path.name}:{node.lineno}" for path in MODULES for node in ast.walk(tree_of(path)) if isinstance(node, ast.Assert)]
    assert [place for place in asserted if not place.startswith("ed25519.py")] == []  # there, of a constant, when it is imported


def test_no_bare_handler_and_no_return_in_finally() -> None:
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"{path.name}:{node.lineno}"
            if isinstance(node, ast.Try):
                escapes = [
                    each for final in node.finalbody for each in ast.walk(final) if isinstance(each, (ast.Return, ast.Break, ast.Continue))
                ]
                assert not escapes, f"{path.name}:{node.lineno}"


def test_no_option_and_no_variable_turns_a_check_off() -> None:
    """Words with which other programs offer it; and the environment decides on nothing but places and messages."""
    words = ("insecure", "no_verify", "no-verify", "skip_verif", "skip-verif", "skip_check", "unsafe", "force")
    read = set()
    for path in MODULES:
        text = path.read_text(encoding="utf-8").lower()
        assert not [word for word in words if f"--{word}" in text or f"{word}=" in text], path.name
        for node in ast.walk(tree_of(path)):
            asks = (
                isinstance(node, ast.Call) and ast.unparse(node.func) == "os.environ.get" and path.name != "probe.py"
            )  # which tells alone
            if asks and isinstance(node, ast.Call) and isinstance(node.args[0], ast.Constant):
                read.add(node.args[0].value)
    assert read <= {"WHEELHOUSE_DEBUG", "XDG_STATE_HOME", "LOCALAPPDATA", "PROGRAMDATA", "PROCESSOR_ARCHITECTURE"}


def test_nothing_that_verifies_starts_a_program_that_could_be_missing() -> None:
    """A zstd program may decompress; what it makes is believed for its digest."""
    for path in MODULES:
        if path.stem in VERIFYING and path.stem != "zstd":
            imported = {alias.name for node in ast.walk(tree_of(path)) if isinstance(node, ast.Import) for alias in node.names}
            assert not imported & {"subprocess", "ctypes"}, path.name
            assert "os.system" not in path.read_text(encoding="utf-8")


def test_each_command_that_touches_a_wheel_goes_through_verify() -> None:
    """run_inspect alone does without, and says so in its report."""
    for function in functions(Path(commands.__file__)):
        called = {ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
        if function.name.startswith("run_") and function.name != "run_inspect":
            assert {"verify", "read_trust", "read_memory"} <= called, function.name


def test_a_verified_bundle_is_made_in_one_place() -> None:
    makers = [
        (path.name, function.name)
        for path in MODULES
        for function in functions(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "VerifiedBundle"
    ]
    assert makers == [("bundle.py", "verify")]


# Whatever part of a check breaks down, the answer is no


class BreakdownError(RuntimeError):
    """Something that nobody foresaw."""


BROKEN = [
    (bundle, "_check_signatures"), (bundle, "_read_manifest"), (bundle, "_check_policy"), (bundle, "_check_payload_size"),
    (bundle, "_check_payload"), (bundle, "_require_good"), (bundle, "_read_signatures"), (sshsig, "parse"), (sshsig, "verify"),
    (sshsig, "signed_data"), (sshsig, "member_name"), (control, "encode_control"), (bundle, "control_size"), (bundle, "decode_control"),
    (bundle, "content_digest"), (bundle, "parse_manifest"), (manifest, "canonical_json"), (manifest, "_check_policy"),
    (commands, "read_trust"), (commands, "read_memory"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name"), BROKEN, ids=[f"{module.__name__.rpartition('.')[2]}.{name}" for module, name in BROKEN])
@pytest.mark.parametrize("error", [BreakdownError, ValueError, OSError])
def test_a_check_that_breaks_down_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, error: type[Exception]
) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(draft(tmp_path).signed(OURS))

    def broken(*_: object, **__: object) -> None:
        raise error("broken")

    monkeypatch.setattr(module, name, broken)
    with pytest.raises((error, WheelhouseError)):
        commands.run_verify(str(path), str(write_trust(tmp_path, OURS)), state=str(tmp_path / "state.json"))


@pytest.mark.parametrize("algorithm", [ed25519, ecdsa, mldsa], ids=lambda module: module.__name__.rpartition(".")[2])
def test_mathematics_says_yes_as_the_result_of_a_comparison_alone(algorithm: Any) -> None:
    function = next(each for each in functions(Path(algorithm.__file__)) if each.name == "verify")
    returned = [ast.unparse(node.value) for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
    assert returned
    assert all(each == "False" or "==" in each or "compare_digest" in each for each in returned), returned


def test_a_refusal_says_at_least_one_thing_for_none_at_all_would_pass_for_no_problem() -> None:
    errors = {each.__name__ for each in all_errors(WheelhouseError)}
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in errors:
                assert node.args, f"{path.name}:{node.lineno}"


def all_errors(error: type[Exception]) -> Iterator[type[Exception]]:
    yield error
    for each in error.__subclasses__():
        yield from all_errors(each)


@pytest.mark.parametrize("answer", [None, False, 0], ids=repr)
def test_a_signature_that_is_not_found_good_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    path = tmp_path / "bundle.whb"
    path.write_bytes(draft(tmp_path).signed(OURS))
    monkeypatch.setattr(sshsig, "verify", lambda *_: answer)
    with pytest.raises(WheelhouseError, match="is wrong"):
        commands.run_verify(str(path), str(write_trust(tmp_path, OURS)), state=str(tmp_path / "state.json"))


def test_without_any_of_what_a_check_needs_the_command_line_ends_in_an_error(tmp_path: Path) -> None:
    """No trust, no file, no signature, another key, in every combination but the good one."""
    made = draft(tmp_path)
    files = {"good": made.signed(OURS), "unsigned": made.signed(), "foreign": made.signed(FOREIGN), "empty": b""}
    stores: dict[str, Callable[[Path], object]] = {
        "ours": lambda path: path.write_text(OURS.allowed_signers_line()),
        "foreign": lambda path: path.write_text(FOREIGN.allowed_signers_line()),
        "empty": lambda path: path.write_text(""),
        "garbage": lambda path: path.write_text("garbage\n"),
        "missing": lambda path: path.unlink(missing_ok=True),
    }
    codes = {}
    for (name, data), (store, write) in itertools.product(files.items(), stores.items()):
        path, trust = tmp_path / f"{name}.whb", tmp_path / f"{store}.signers"
        path.write_bytes(data)
        write(trust)
        codes[name, store] = main(["verify", "--quiet", "--trust", str(trust), "--state", str(tmp_path / "state.json")], str(path))
    assert [case for case, code in codes.items() if code == 0] == [("good", "ours"), ("foreign", "foreign")]


def test_a_pipe_that_breaks_while_it_works_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only when the verdict is being printed may who reads it go away."""

    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError

    for name in ("run_verify", "run_unpack", "run_install"):
        monkeypatch.setattr(commands, name, broken)
    made = tmp_path / "bundle.whb"
    for arguments in (["verify"], ["unpack", str(tmp_path / "out")], ["install", "--venv", str(tmp_path / "venv")]):
        assert main(arguments, str(made)) != 0, arguments


def test_a_link_to_where_nothing_is_is_no_file_that_is_not_there(tmp_path: Path) -> None:
    """What a policy or a state file on a disk that is not mounted asks for is not known, so nothing passes."""
    path, store = tmp_path / "bundle.whb", tmp_path / "store"
    path.write_bytes(draft(tmp_path).signed(OURS))
    store.mkdir(mode=0o755)
    write_trust(store, OURS)
    arguments = ["verify", "--quiet", "--trust", str(store), "--state", str(tmp_path / "state.json")]
    assert main(arguments, str(path)) == 0
    (store / "policy.json").symlink_to(tmp_path / "not-mounted/policy.json")
    assert main(arguments, str(path)) == KeyFailure.exit_code
    (store / "policy.json").unlink()
    (tmp_path / "state.json").symlink_to(tmp_path / "not-mounted/state.json")
    assert main(arguments, str(path)) == EnvironmentFailure.exit_code
