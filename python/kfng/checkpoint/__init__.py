"""The file a filter or a bank is saved in: bytes, a header and named arrays. It knows nothing of filters.

    magic (8) | format u32 | header_len u32 (<= 1 MiB) | header, JSON in UTF-8 | payload_len u64 | payload | SHA-256 of all before

All integers and floats are little-endian. The header's `layout` is a list of [name, dtype, shape], dtype '<f8', '<f4', '<i8' or '|u1'; the
payload is those arrays in that order, C-contiguous, with nothing between them. In every format, past and to come, the file
starts with the magic and the format number and ends with the digest, so that damage and a newer format can be told apart.

Nothing in a file is ever executed, and no size in it is believed before it has been compared with the bytes that are there.
"""

from ._bytes import FORMAT, MAGIC, decode, encode, stream
from ._bytes import Pieces as Pieces
from ._bytes import Stored as Stored
from ._read import FileMissingError, FolderError, ForbiddenError, peek, read, stored
from ._read import as_path as as_path
from ._write import write

__all__ = [
    "FORMAT",
    "MAGIC",
    "FileMissingError",
    "FolderError",
    "ForbiddenError",
    "decode",
    "encode",
    "peek",
    "read",
    "stored",
    "stream",
    "write",
]
