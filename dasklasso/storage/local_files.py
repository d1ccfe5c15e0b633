"""Zarr's store of local files, which refuses to wait for a pipe in the place of one."""

from __future__ import annotations

import os
from contextlib import suppress

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from dasklasso.files.regular import check_regular

_ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)  # as zarr takes them


class LocalFiles(LocalStore):
    """A folder to read, all of whose keys are files."""

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a key's bytes; raises NotRegular, an OSError, where it is not a file."""
        self._check(key)
        return await super().get(key, prototype, byte_range)

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Return a key's bytes, as :meth:`get`."""
        self._check(key)
        return super().get_sync(key, prototype=prototype, byte_range=byte_range)

    def _check(self, key: str) -> None:
        with suppress(*_ABSENT):
            check_regular(self.root / key)


def local_files(folder: str | os.PathLike[str]) -> LocalFiles:
    """Return the store of a folder, to read."""
    return LocalFiles(os.fspath(folder), read_only=True)
