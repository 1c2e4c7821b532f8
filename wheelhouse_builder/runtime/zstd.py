"""Zstd decompression with whatever this host has, behind one strict face.

In this order: the standard library (Python 3.14, PEP 784), a decoder that is already installed, the decoder that the bundle carries for
this Python, the host's ``zstd`` program, pure Python. Each of them sees only what :mod:`zstd_frame` let through, and is chosen only
after it has decoded a good frame and refused a bad one.
"""

import importlib
import importlib.util
import os
import site
import stat
import subprocess
import sysconfig
import threading
from contextlib import closing
from types import ModuleType
from typing import IO, Any, Callable, Generator, Iterable, Iterator, Optional, Tuple, cast

from . import zstd_pure, zstd_wheel
from .errors import BundleRefused, EnvironmentFailure
from .layout import MAX_WINDOW
from .zstd_frame import Frame, refused

PIECE = 1 << 18
"""Bytes that a decoder is asked for at a time."""
MODULES = ("compression.zstd", "backports.zstd", "pyzstd", "zstandard")
PROGRAM = "zstd"
PROGRAM_DIRECTORIES = ("/usr/bin", "/bin", "/usr/local/bin")
"""Where the program may lie. Not PATH, which anybody may have set."""
PROGRAM_OPTIONS = ("-d", "-c", "-q", "--memory={}MB".format(MAX_WINDOW >> 20))

PROOF = b"wheelhouse wheelhouse wheelhouse reads zstd"
GOOD_FRAME = b"(\xb5/\xfd$+\xdd\x00\x00\xa8wheelhouse reads zstd\x01\x00V\x8a\x17\xde\xed\x1c\xe1"
"""PROOF, compressed."""
BAD_FRAME = GOOD_FRAME[:-1] + b"\xe0"
"""The same with another checksum."""

Engine = Callable[[Frame], Generator[bytes, None, None]]
"""Makes a frame's content, in pieces of bounded size. It raises whatever its library raises."""


class Decoder:
    """One way to decompress zstd."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        """For people: ``backports.zstd``, ``/usr/bin/zstd``, ``pure Python``."""
        self._engine = engine

    def decompress(self, chunks: Iterable[bytes], size: int) -> Generator[bytes, None, None]:
        """The ``size`` bytes that the one zstd frame in ``chunks`` stands for, in pieces.

        The frame's checksum is compared after the last piece, so what was yielded holds only once the iteration has ended by itself.
        Memory is bounded by a small multiple of the window (at most 128 MiB) and one chunk. ``chunks`` may be read from another thread.
        Errors: BundleRefused, EnvironmentFailure, and whatever reading ``chunks`` raises.
        """
        frame = Frame(chunks, size)
        done = 0
        with closing(self._engine(frame)) as pieces:
            for piece in self._explained(pieces):
                done += len(piece)
                if done > size:
                    raise refused("it holds more than the {} bytes that the manifest says".format(size))
                yield piece
        if done != size:
            raise refused("it holds {} bytes, the manifest says {}".format(done, size))
        frame.require_end()

    def _explained(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """``pieces``; what a library raises becomes a refusal."""
        try:
            yield from pieces
        except MemoryError as error:
            raise EnvironmentFailure(
                "there is not enough memory to decompress the payload",
                hint="About 350 MiB are needed for each core, up to four: stop other programs, then try again.",
            ) from error
        except (BundleRefused, EnvironmentFailure, OSError):
            raise
        except Exception as error:  # each library has an error class of its own, and this function cannot name them all
            raise refused("{} says: {}".format(self.name, error)) from error


def choose_decoder(archive: bytes, scratch: str) -> Decoder:
    """The best decoder that works here.

    ``archive`` holds the decoders of the bundle, already verified; it is empty where there are none. One that fits is written
    below ``scratch``, a private directory that must stay until this process ends. Errors: BundleRefused, if the archive is malformed.
    """
    for decoder in _candidates(archive, scratch):
        if _proves_itself(decoder):
            return decoder
    return Decoder("pure Python", zstd_pure.decode)


def _candidates(archive: bytes, scratch: str) -> Iterator[Decoder]:
    """What may decode here, best first; nothing is loaded before its turn."""
    for name in MODULES:
        module = _installed_module(name)
        if module is not None:
            yield Decoder(name, module_engine(module))
    for module in zstd_wheel.load(archive, scratch) if archive else ():
        yield Decoder("{} from the bundle".format(module.__name__), module_engine(module))
    program = _installed_program()
    if program is not None:
        yield Decoder(program, program_engine(program))


def _proves_itself(decoder: Decoder) -> bool:
    """Whether ``decoder`` reads a good frame and refuses it with another checksum."""
    return _attempt(decoder, GOOD_FRAME) == PROOF and _attempt(decoder, BAD_FRAME) is None


def _attempt(decoder: Decoder, frame: bytes) -> Optional[bytes]:
    try:
        return b"".join(decoder.decompress([frame], len(PROOF)))
    except (BundleRefused, EnvironmentFailure, OSError):
        return None


# Modules


def _installed_module(name: str) -> Optional[ModuleType]:
    """The module ``name`` if this interpreter's own library or site-packages hold it.

    One that PYTHONPATH, the user site or the working directory would supply is not imported: nobody vouches for it.
    """
    parts = name.split(".")
    for count in range(1, len(parts) + 1):  # a package's own code runs when a module within is looked for, so look at it first
        if not _is_own(".".join(parts[:count])):
            return None
    try:
        return importlib.import_module(name)
    except Exception:  # noqa: BLE001 - broken, or not for this Python; the next decoder has its turn
        return None


def _is_own(name: str) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    places = [spec.origin or ""] if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
    homes = _homes()
    return bool(places) and all(_place(place).startswith(homes) for place in places)


def _homes() -> Tuple[str, ...]:
    """The directories, with a separator at the end, where this interpreter's own modules are."""
    found = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    found += getattr(site, "getsitepackages", list)()  # old virtualenvs have none
    return tuple(os.path.join(_place(path), "") for path in found if path)


def _place(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))


def module_engine(module: Any) -> Engine:
    """The engine of one of MODULES. Libraries differ in names only, but for zstandard."""
    if hasattr(module, "DecompressionParameter"):  # compression.zstd, backports.zstd
        options = {module.DecompressionParameter.window_log_max: MAX_WINDOW.bit_length() - 1}
        return _bounded_engine(lambda: module.ZstdDecompressor(options=options))
    if hasattr(module, "ZSTD_d_windowLogMax"):  # the compiled module of backports.zstd alone
        options = {module.ZSTD_d_windowLogMax: MAX_WINDOW.bit_length() - 1}
        return _bounded_engine(lambda: module.ZstdDecompressor(options=options))
    if hasattr(module, "_ZSTD_d_windowLogMax"):  # the compiled module of pyzstd alone
        option = {module._ZSTD_d_windowLogMax: MAX_WINDOW.bit_length() - 1}  # noqa: SLF001 # its wrapper does the same
        return _bounded_engine(lambda: module.ZstdDecompressor(option=option))
    if hasattr(module, "DParameter"):  # pyzstd
        option = {module.DParameter.windowLogMax: MAX_WINDOW.bit_length() - 1}
        return _bounded_engine(lambda: module.ZstdDecompressor(option=option))
    return _zstandard_engine(module)


def _bounded_engine(make: Callable[[], Any]) -> Engine:
    def engine(frame: Frame) -> Generator[bytes, None, None]:
        decompressor = make()
        for data in frame.pieces():
            yield decompressor.decompress(data, PIECE)
            while not (decompressor.needs_input or decompressor.eof):
                yield decompressor.decompress(b"", PIECE)

    return engine


def _zstandard_engine(module: Any) -> Engine:
    def engine(frame: Frame) -> Generator[bytes, None, None]:
        decompressor = module.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()
        for data in frame.pieces():  # at most one block, which bounds what comes of it
            yield decompressor.decompress(data)

    return engine


# The host's program


def _installed_program() -> Optional[str]:
    """The absolute path of ``zstd``, where only an administrator or we ourselves could have put it."""
    if os.name != "posix":
        return None
    for directory in PROGRAM_DIRECTORIES:
        path = os.path.realpath(os.path.join(directory, PROGRAM))
        if os.access(path, os.X_OK) and _is_guarded(path) and _is_guarded(os.path.dirname(path)):
            return path
    return None


def _is_guarded(path: str) -> bool:
    found = os.stat(path)
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & stat.S_IWOTH


def program_engine(program: str) -> Engine:
    """The engine that runs ``program``, which is a ``zstd``, once per frame."""

    def engine(frame: Frame) -> Generator[bytes, None, None]:
        process = subprocess.Popen(
            [program, *PROGRAM_OPTIONS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C"},
            cwd="/",
        )
        output = cast("IO[bytes]", process.stdout)
        feeder = _Feeder(frame, cast("IO[bytes]", process.stdin))
        feeder.start()
        try:
            yield from iter(lambda: output.read(PIECE), b"")
            feeder.finish()
            if process.wait():
                raise refused("{} ended with code {}".format(program, process.returncode))
        finally:
            process.kill()
            feeder.join()
            output.close()
            process.wait()

    return engine


class _Feeder(threading.Thread):
    """Writes a frame to a program while we read from it: else both would wait for ever."""

    def __init__(self, frame: Frame, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._frame = frame
        self._pipe = pipe
        self._error: Optional[BaseException] = None

    def run(self) -> None:
        """Write until the frame or the program ends."""
        try:
            with self._pipe as pipe:
                for piece in self._frame.pieces():
                    pipe.write(piece)
        except BrokenPipeError:
            pass  # the program gave up; its exit code tells
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error

    def finish(self) -> None:
        """Wait for the end, and raise what went wrong."""
        self.join()
        if self._error is not None:
            raise self._error
