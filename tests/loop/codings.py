# SPDX-License-Identifier: GPL-3.0-or-later
"""Content codings, put on: the libraries that haul takes them off with have the other half as well."""

import ctypes
import functools
import gzip
import zlib


def pack_gzip(data):
    return gzip.compress(data, mtime=0)


def pack_raw(data):
    """Bare deflate, as some servers send it."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def pack_br(data):
    library = _library("libbrotlienc.so.1")
    size = ctypes.c_size_t(len(data) + len(data) // 100 + 1024)
    packed = ctypes.create_string_buffer(size.value)
    assert library.BrotliEncoderCompress(5, 22, 0, ctypes.c_size_t(len(data)), data, ctypes.byref(size), packed)
    return packed.raw[:size.value]


def pack_zstd(data):
    library = _library("libzstd.so.1")
    library.ZSTD_compress.restype = library.ZSTD_compressBound.restype = ctypes.c_size_t
    room = library.ZSTD_compressBound(ctypes.c_size_t(len(data)))
    packed = ctypes.create_string_buffer(room)
    size = library.ZSTD_compress(packed, ctypes.c_size_t(room), data, ctypes.c_size_t(len(data)), 3)
    assert size <= room
    return packed.raw[:size]


@functools.cache
def _library(name):
    return ctypes.CDLL(name)


# coding -> (Content-Encoding, what puts it on)
PACK = {
    "gzip": ("gzip", pack_gzip),
    "x-gzip": ("X-GZIP", pack_gzip),
    "deflate": ("deflate", zlib.compress),
    "raw": ("deflate", pack_raw),
    "br": ("br", pack_br),
    "zstd": ("zstd", pack_zstd),
    "chain": ("gzip, br", lambda data: pack_br(pack_gzip(data))),
}


def gzip_zeros(size):
    """So many zeros, without having them in memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()
