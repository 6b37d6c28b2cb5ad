"""The sandbox's own image, made here so that nothing has to be downloaded or compiled.

It holds one static program of a few hundred bytes, written out below as machine code. As process 1 it ends at once
on TERM and INT (process 1 has no default reaction to signals, so it installs a handler), ignores CHLD (by which
the kernel reaps orphans when containers share the sandbox's process namespace), and otherwise sleeps for ever.

`image_archive` is the format of `docker save`, which Docker and Podman both load; its bytes depend on nothing but
the arguments, so the image has the same id everywhere. It never talks to an engine.
"""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile

import msgspec

PAUSE_IMAGE = "localhost/kube-actors-pause:1"

_BASE = 0x400000
_CODE = 0x40 + 0x38  # behind the ELF header and one program header
_SIGINT, _SIGTERM, _SIGCHLD = 2, 15, 17
_SIG_IGN = 1
_SA_RESTORER = 0x04000000  # x86-64 delivers no signal without it; the handler never returns, so it points nowhere

_MACHINES = {"amd64": 62, "arm64": 183}


def pause_program(architecture: str) -> bytes:
    """A static ELF executable for linux on amd64 or arm64 (Go's names)."""
    assemble = {"amd64": _assemble_amd64, "arm64": _assemble_arm64}.get(architecture)
    if assemble is None:
        raise ValueError(f"no pause program for architecture {architecture!r}")
    # The code's length does not depend on the addresses in it: measure it with zeros, then assemble it for good.
    length = len(assemble(0, 0)[0])
    ending = _BASE + _CODE + -(-length // 8) * 8
    ignoring = ending + 32
    code, handler = assemble(ending, ignoring)
    body = code.ljust(ending - _BASE - _CODE, b"\0")
    body += struct.pack("<4Q", _BASE + _CODE + handler, _SA_RESTORER, _BASE + _CODE + handler, 0)
    body += struct.pack("<4Q", _SIG_IGN, 0, 0, 0)
    size = _CODE + len(body)
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 2, _MACHINES[architecture], 1, _BASE + _CODE, 0x40, 0, 0, 0x40, 0x38, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)
    return header + segment + body


def _assemble_amd64(ending: int, ignoring: int) -> tuple[bytes, int]:
    """rt_sigaction three times, pause in a loop; the handler behind it calls exit_group(0)."""
    code = b""
    for signal, action in ((_SIGTERM, ending), (_SIGINT, ending), (_SIGCHLD, ignoring)):
        code += b"\xbf" + struct.pack("<I", signal)  # mov edi, signal
        code += b"\xbe" + struct.pack("<I", action)  # mov esi, action
        code += b"\x31\xd2"  # xor edx, edx
        code += b"\x41\xba" + struct.pack("<I", 8)  # mov r10d, 8
        code += b"\xb8" + struct.pack("<I", 13)  # mov eax, rt_sigaction
        code += b"\x0f\x05"  # syscall
    code += b"\xb8" + struct.pack("<I", 34) + b"\x0f\x05" + b"\xeb\xf7"  # again: mov eax, pause; syscall; jmp again
    handler = len(code)
    code += b"\x31\xff" + b"\xb8" + struct.pack("<I", 231) + b"\x0f\x05"  # xor edi, edi; exit_group
    return code, handler


def _assemble_arm64(ending: int, ignoring: int) -> tuple[bytes, int]:
    """The same with ppoll instead of pause, which this architecture lacks."""

    def set_register(register: int, value: int) -> bytes:
        low = 0xD2800000 | (value & 0xFFFF) << 5 | register  # movz
        high = 0xF2A00000 | (value >> 16) << 5 | register  # movk, lsl 16
        return struct.pack("<II", low, high)

    supervisor_call = struct.pack("<I", 0xD4000001)
    code = b""
    for signal, action in ((_SIGTERM, ending), (_SIGINT, ending), (_SIGCHLD, ignoring)):
        code += set_register(0, signal) + set_register(1, action) + set_register(2, 0)
        code += set_register(3, 8) + set_register(8, 134) + supervisor_call
    again = len(code)
    for register in range(5):
        code += set_register(register, 0)
    code += set_register(8, 73) + supervisor_call
    back = (again - len(code)) // 4
    code += struct.pack("<I", 0x14000000 | back & 0x03FFFFFF)  # b again
    handler = len(code)
    code += set_register(0, 0) + set_register(8, 94) + supervisor_call
    return code, handler


def image_archive(architecture: str, reference: str = PAUSE_IMAGE) -> bytes:
    """The image as a `docker save` archive, to be loaded into an engine."""
    layer = _tar(
        [("dev", None, 0o755), ("etc", None, 0o755), ("proc", None, 0o755), ("sys", None, 0o755)]
        + [("pause", pause_program(architecture), 0o755)]
    )
    config = msgspec.json.encode(
        {
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Entrypoint": ["/pause"], "Env": ["PATH=/"]},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "kube-actors pause"}],
        }
    )
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = msgspec.json.encode([{"Config": config_name, "RepoTags": [reference], "Layers": ["layer.tar"]}])
    return _tar([(config_name, config, 0o644), ("layer.tar", layer, 0o644), ("manifest.json", manifest, 0o644)])


def _tar(members: list[tuple[str, bytes | None, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content, mode in members:
            member = tarfile.TarInfo(name)
            member.mode = mode
            if content is None:
                member.type = tarfile.DIRTYPE
            else:
                member.size = len(content)
            archive.addfile(member, None if content is None else io.BytesIO(content))
    return buffer.getvalue()
