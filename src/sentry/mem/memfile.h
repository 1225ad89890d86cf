/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mem/memfile.h - pages that more than one process may map: shared anonymous memory, tmpfs
 * files, memfd, SysV shared memory. Each is one sparse memfd of the host.
 *
 * Reading and writing go through the descriptor (pread, pwrite): the sentry maps nothing that a
 * stub can change.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sentry/mem/user_memory.h"

struct memfile {
	unsigned int refs;
	int host_fd;   /* read and write */
	int reader_fd; /* read only; -EBADF until memfile_reader() */
	bool on_disk;  /* adopted: may have to be waited for */
	uint64_t size; /* bytes */
};

/* Once, before the cage: looks at the limit of memfile_adopt(). */
void memfile_init(void);

/* A memfile of `size` zero bytes. 0, -ENOMEM, -ENFILE. */
int memfile_new(const char *name, uint64_t size, struct memfile **ret);
/*
 * The same in an empty file of a disk, whose descriptor is taken over in any case. What is not in
 * memory is read, and much is written, by a helper. 0, -ENOMEM, -ENOSPC, -EIO; -ENFILE: half of the
 * descriptors of this process are such files.
 */
int memfile_adopt(int host_fd, uint64_t size, struct memfile **ret);
/*
 * The descriptor for a mapping that may never be written: whoever holds it can make it no more. It
 * stays the memfile's. Without a maker (tests) it is host_fd. May park; -ENFILE, -EIO.
 */
int memfile_reader(struct memfile *m);
/* Makes a descriptor that only reads out of another; before the first mapping. */
void memfile_set_reader(int (*make)(int host_fd));
struct memfile *memfile_ref(struct memfile *m);
void memfile_unref(struct memfile *m);

/* Bytes moved or -errno; reading past the size gives 0, writing past it grows. */
ssize_t memfile_read(struct memfile *m, void *dst, size_t len, uint64_t offset);
ssize_t memfile_write(struct memfile *m, const void *src, size_t len, uint64_t offset);

/* The same to and from a uio: reads as much as it takes, writes len bytes of it. May yield. */
ssize_t memfile_read_uio(struct memfile *m, struct uio *u, uint64_t offset);
ssize_t memfile_write_uio(struct memfile *m, struct uio *u, size_t len, uint64_t offset);

int memfile_resize(struct memfile *m, uint64_t size);
int memfile_punch(struct memfile *m, uint64_t offset, uint64_t len);
/* SEEK_DATA or SEEK_HOLE from offset: -ENXIO behind the end. */
int64_t memfile_seek(const struct memfile *m, uint64_t offset, int whence);
/* Bytes in memory (fstat's st_blocks * 512). */
uint64_t memfile_resident(const struct memfile *m);
