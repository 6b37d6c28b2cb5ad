"""A pod's volumes on disk: directories, atomically replaced files, memory file systems, clean-up. Blocking code.

`write_payload` swaps all files of a volume at once, as the kubelet does: real files stand in a directory of their own,
`..data` points to it, and the visible names are links through `..data`. A reader sees the old set or the new one.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Collection
from pathlib import Path

from .payloads import Payload

_DATA = "..data"


def make_directory(path: str, mode: int = 0o777) -> None:
    """A directory with exactly this mode, whatever the umask."""
    os.makedirs(path, exist_ok=True)
    os.chmod(path, mode)


def write_payload(directory: str, payload: Payload, stamp: str, owner_group: int | None = None) -> bool:
    """Make the volume hold these files; whether anything changed. `stamp` names the new set and is unique."""
    root = Path(directory)
    root.mkdir(parents=True, exist_ok=True)
    os.chmod(root, 0o777)
    if _holds(root / _DATA, payload):
        return False
    fresh = root / f"..{stamp}"
    fresh.mkdir()
    os.chmod(fresh, 0o755)
    for name, file in payload.items():
        target = fresh / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.data)
        os.chmod(target, file.mode if owner_group is None else file.mode | 0o040)
        if owner_group is not None and os.geteuid() == 0:
            os.chown(target, -1, owner_group)
    previous = os.readlink(root / _DATA) if (root / _DATA).is_symlink() else ""
    pending = root / "..data_tmp"
    pending.unlink(missing_ok=True)
    pending.symlink_to(fresh.name)
    os.replace(pending, root / _DATA)
    _link(root, payload)
    if previous:
        shutil.rmtree(root / previous, ignore_errors=True)
    return True


def _holds(current: Path, payload: Payload) -> bool:
    if not current.is_dir():
        return False
    present = {str(path.relative_to(current)) for path in current.rglob("*") if path.is_file()}
    if present != set(payload):
        return False
    return all((current / name).read_bytes() == file.data for name, file in payload.items())


def _link(root: Path, payload: Payload) -> None:
    """The visible names: links for what is there, nothing for what is gone."""
    wanted = {name.split("/", 1)[0] for name in payload}
    for entry in root.iterdir():
        if not entry.name.startswith("..") and entry.name not in wanted:
            entry.unlink()
    for name in wanted:
        if not (root / name).is_symlink():
            (root / name).symlink_to(f"{_DATA}/{name}")


def write_file(path: str, text: str, mode: int = 0o644) -> None:
    """A file of ours that is mounted by itself: written in place, since a container holds its inode."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def touch(path: str, mode: int = 0o666) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "ab"):
        pass
    os.chmod(path, mode)


def read_tail(path: str, limit: int) -> bytes:
    """At most the last `limit` bytes; b"" when the file cannot be read."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - limit))
            return file.read(limit)
    except OSError:
        return b""


def mount_memory(path: str, size_bytes: int | None) -> bool:
    """A file system in memory at path, which needs root; False when it cannot be had."""
    if os.path.ismount(path):
        return True
    if os.geteuid() != 0:
        return False
    options = "mode=0777" + (f",size={size_bytes}" if size_bytes else "")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, check=False)
    return done.returncode == 0


def remove_tree(path: str) -> None:
    """Remove a pod's directory; memory file systems in it are unmounted first. Raises OSError."""
    volumes = os.path.join(path, "volumes")
    if os.path.isdir(volumes):
        for entry in os.scandir(volumes):
            if os.path.ismount(entry.path):
                subprocess.run(["umount", entry.path], capture_output=True, check=False)
    if os.path.exists(path):
        shutil.rmtree(path)


def remove_all_but(directory: str, kept: Collection[str]) -> None:
    """Remove the directories of pods that nobody owns any more. Raises OSError."""
    if not os.path.isdir(directory):
        return
    for name in os.listdir(directory):
        if name not in kept:
            remove_tree(os.path.join(directory, name))


def check_host_path(path: str, kind: str) -> str:
    """What a hostPath volume's type wants of the path; the kubelet's complaint, or "" when all is well."""
    if kind == "DirectoryOrCreate":
        if not os.path.exists(path):
            os.makedirs(path, 0o755)
        return "" if os.path.isdir(path) else f"hostPath type check failed: {path} is not a directory"
    if kind == "FileOrCreate":
        if not os.path.exists(path):
            touch(path, 0o644)
        return "" if os.path.isfile(path) else f"hostPath type check failed: {path} is not a file"
    checks = {
        "Directory": (os.path.isdir, "a directory"),
        "File": (os.path.isfile, "a file"),
        "Socket": (_is_socket, "a socket file"),
        "CharDevice": (_is_character_device, "a character device"),
        "BlockDevice": (_is_block_device, "a block device"),
    }
    if kind in checks:
        test, noun = checks[kind]
        return "" if test(path) else f"hostPath type check failed: {path} is not {noun}"
    return ""


def _mode_of(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def _is_socket(path: str) -> bool:
    return stat.S_ISSOCK(_mode_of(path))


def _is_character_device(path: str) -> bool:
    return stat.S_ISCHR(_mode_of(path))


def _is_block_device(path: str) -> bool:
    return stat.S_ISBLK(_mode_of(path))


def safe_join(root: str, path: str) -> str:
    """A sub-path of a volume; ValueError when it leads out of it, by `..` or by a link."""
    joined = os.path.normpath(os.path.join(root, path))
    real_root, real = os.path.realpath(root), os.path.realpath(joined)
    if real != real_root and not real.startswith(real_root + os.sep):
        raise ValueError(f"{path} is not within the volume")
    return joined
